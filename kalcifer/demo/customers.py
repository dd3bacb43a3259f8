"""What customers do in the journeys of the sample, and what they have to be sent for it."""

from typing import Any

from kalcifer.demo.scripts import Act, Script

JSON = dict[str, Any]

PAID: JSON = {"amount": "49.00", "currency": "EUR"}
BEGIN, BEGIN_LATE = Act("first_steps", "project.created"), Act("second_steps", "project.created")
SUBSCRIBE = Act("subscription", "subscription.started", PAID)
SETTLE = "payment.settled"
CONFIRM: JSON = {"topic": "newsletter"}
NO_TIPS = (("preferences", {"email": {"product_tips": False}}),)
NO_MAIL = (("preferences", {"email": {"cart_reminders": False}}),)

SCRIPTS = (
    Script("trial", "subscribed at once", 4, "completed", "goal", (BEGIN, SUBSCRIBE), messages=("welcome", "invite")),
    Script(
        "trial", "subscribed after a nudge", 3, "completed", "goal", (BEGIN_LATE, SUBSCRIBE),
        messages=("welcome", "nudge", "invite"),
    ),
    Script("trial", "trial over", 2, "completed", "trial_over", (BEGIN,), messages=("welcome", "invite")),
    Script("trial", "stalled", 2, "completed", "stalled", messages=("welcome", "nudge")),
    Script("trial", "stalled, wants no tips", 1, "completed", "stalled", messages=("welcome",), profile=NO_TIPS),
    Script(
        "trial", "cancelled", 1, "exited", "exit_criteria", (Act("first_steps", "trial.cancelled"),),
        messages=("welcome",),
    ),
    Script("cart", "recovered by mail", 4, "completed", "goal", (Act("order", "order.placed"),), messages=("a mail",)),
    Script(
        "cart", "recovered by text", 3, "completed", "goal", (Act("last_order", "order.placed"),),
        messages=("a mail", "text"),
    ),
    Script("cart", "not recovered", 3, "completed", "not_recovered", messages=("a mail", "text")),
    Script("cart", "wants no mail", 1, "completed", "not_recovered", messages=("text",), profile=NO_MAIL),
    Script("cart", "emptied", 1, "exited", "exit_criteria", (Act("order", "cart.emptied"),), messages=("a mail",)),
    Script("win_back", "won back", 3, "completed", "goal", (Act("answer", "order.placed"),), messages=("miss_you",)),
    Script(
        "win_back", "won back by an offer", 2, "completed", "goal", (Act("last_answer", "order.placed"),),
        messages=("miss_you", "offer"),
    ),
    Script("win_back", "lost", 3, "completed", "lost", messages=("miss_you", "offer")),
    Script(
        "re_permission", "stays", 3, "completed", "goal", (Act("answer", "consent_confirmed", CONFIRM),),
        messages=("ask", "thanks"),
    ),
    Script(
        "re_permission", "stays at last", 2, "completed", "goal", (Act("last_answer", "consent_confirmed", CONFIRM),),
        messages=("ask", "banner", "thanks"),
    ),
    Script("re_permission", "lapsed", 2, "completed", "consent_lapsed", messages=("ask", "banner")),
    Script("re_permission", "complained before", 1, "completed", "complained", profile=(("tags", ["complained"]),)),
    Script("escalation", "settled at once", 3, "completed", "goal", (Act("after_mail", SETTLE),), messages=("mail",)),
    Script(
        "escalation", "settled by text", 2, "completed", "goal", (Act("after_text", SETTLE),),
        messages=("mail", "text"),
    ),
    Script(
        "escalation", "settled at last", 2, "completed", "goal", (Act("last_chance", SETTLE),),
        messages=("mail", "text", "whatsapp", "banner"),
    ),
    Script(
        "escalation", "suspended", 1, "completed", "suspended", messages=("mail", "text", "whatsapp", "banner")
    ),
)  # fmt: skip

# What begins the journeys: an event, or a change of the profile that leads into a segment.
EVENTS = {"trial": "trial.started", "cart": "cart.abandoned", "escalation": "payment.failed"}
CHANGES: dict[str, JSON] = {"win_back": {"days_since_order": 120}, "re_permission": {"consent_expires_in_days": 30}}

# Which variant of a split somebody gets is for the split to say.
SAME = {"plain_mail": "a mail", "coupon_mail": "a mail"}
