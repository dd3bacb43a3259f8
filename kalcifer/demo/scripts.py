"""What simulated people do, and what has to become of them for it."""

from dataclasses import dataclass, field
from typing import Any

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """An event that a person sends once their run is seen waiting at a node."""

    at: str
    event_type: str
    data: JSON = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Script:
    """One way through a flow: what is done, where it has to end, and which calls it has to make.

    `morning` says that the way leads through a wait for 09:00 on a weekday. Whoever goes through a journey is a
    customer: `profile` is what is special about them, `messages` are the nodes that write to them.
    """

    flow: str
    outcome: str
    weight: int
    status: str
    reason: str
    acts: tuple[Act, ...] = ()
    effects: tuple[str, ...] = ()
    entry: tuple[tuple[str, Any], ...] = ()
    morning: bool = False
    messages: tuple[str, ...] = ()
    profile: tuple[tuple[str, Any], ...] = ()


VERIFY, VERIFY_LATE = Act("verify", "account.verified"), Act("second_chance", "account.verified")
USE = Act("first_project", "project.created")
FULFILMENT = ("charge", "pack", "invoice", "ship")
PAY_LAST = Act("after_final_notice", "invoice.paid")
PROMISE = Act("after_reminder", "payment.promised")

SCRIPTS = (
    Script("onboarding", "activated at once", 6, "completed", "goal", (VERIFY, USE)),
    Script(
        "onboarding", "activated after a nudge", 5, "completed", "goal", (VERIFY_LATE, USE), ("nudge",), morning=True
    ),
    Script("onboarding", "verified, then idle", 3, "completed", "idle", (VERIFY,)),
    Script("onboarding", "never verified", 4, "completed", "never_verified", (), ("nudge",), morning=True),
    Script(
        "onboarding",
        "closed the account",
        2,
        "exited",
        "exit_criteria",
        (VERIFY, Act("first_project", "account.closed")),
    ),
    Script("order", "delivered", 6, "completed", "delivered", (Act("on_its_way", "parcel.delivered"),), FULFILMENT),
    Script(
        "order",
        "delivered with a gift",
        4,
        "completed",
        "delivered",
        (Act("on_its_way", "parcel.delivered"),),
        (*FULFILMENT, "gift"),
        (("total", 250),),
    ),
    Script(
        "order",
        "lost and refunded",
        2,
        "completed",
        "refunded",
        (Act("on_its_way", "parcel.lost"),),
        (*FULFILMENT, "refund"),
    ),
    Script("order", "no news", 1, "completed", "no_news", (), FULFILMENT),
    Script(
        "order",
        "cancelled on its way",
        2,
        "exited",
        "exit_criteria",
        (Act("on_its_way", "order.cancelled"),),
        FULFILMENT,
    ),
    Script("order", "card declined", 2, "completed", "card_declined", (), (), (("card", "declined"),)),
    Script("dunning", "paid in time", 4, "completed", "goal", (Act("grace", "invoice.paid"),)),
    Script(
        "dunning",
        "paid after a reminder",
        4,
        "completed",
        "goal",
        (Act("after_reminder", "invoice.paid"),),
        ("reminder",),
    ),
    Script(
        "dunning", "promised and paid", 3, "completed", "goal", (PROMISE, Act("promise", "invoice.paid")), ("reminder",)
    ),
    Script(
        "dunning",
        "promised, paid at the end",
        2,
        "completed",
        "goal",
        (PROMISE, PAY_LAST),
        ("reminder", "final_notice"),
    ),
    Script("dunning", "written off", 2, "completed", "written_off", (), ("reminder", "final_notice", "write_off")),
    Script("dunning", "invoice cancelled", 1, "exited", "exit_criteria", (Act("grace", "invoice.cancelled"),)),
)
