"""Who goes through the journeys: together they take every edge."""

from datetime import timedelta
from typing import Any

from tests.journeys.world import Way

H, D = timedelta(hours=1), timedelta(days=1)


# --- the cart ---


def cart(name: str, **facts: Any) -> dict[str, Any]:
    usual = {"cart_id": name, "value": 50, "items": ["a"], "checkout_url": "https://shop.example.com/c"}
    return {"name": name, "entry": usual | facts}


def order(name: str, after: timedelta) -> tuple[timedelta, str, dict[str, Any]]:
    return after, "order_completed", {"cart_id": name, "total": 50, "currency": "EUR"}


def said_no(*channels: str) -> dict[str, Any]:
    return {"preferences": {channel: {"cart_reminders": False} for channel in channels}}


GOAL, LOST = ("completed", "goal"), ("completed", "not_recovered")
MAILED = "entry grace can_email cap_email mail_1 wait_1"
STOCKED = f"{MAILED} in_stock has_stock"

CART = (
    Way(
        path="entry grace bought_alone", end=("completed", "bought_in_grace"), events=[order("quick", H / 2)],
        **cart("quick"),
    ),
    Way(
        path="entry grace bought_alone", end=("completed", "bought_in_grace"),
        # The hour begins anew with the second item.
        events=[(H * 0.9, "cart_updated", cart("slow")["entry"]), order("slow", H * 1.5)], **cart("slow"),
    ),
    Way(path=f"{MAILED} conv_1 goal", end=GOAL, events=[order("reminded", 5 * H)], **cart("reminded")),
    Way(path=f"{STOCKED} end_sold_out", end=("completed", "sold_out"), **cart("sold-out")),
    Way(
        path=f"{STOCKED} high_value is_discount_hunter mail_coupon wait_2 conv goal", end=GOAL,
        events=[order("rich", 2 * D)], **cart("rich", value=150),
    ),
    Way(
        path=f"{STOCKED} high_value is_discount_hunter mail_2 wait_2 end", end=LOST, profile={"tags": ["hunter"]},
        **cart("hunter", value=150),
    ),
    Way(path=f"{STOCKED} high_value mail_2 wait_2 end", end=LOST, **cart("thrifty")),
    Way(
        path="entry grace can_email can_push push_1 wait_2 end", end=LOST, profile=said_no("email"), **cart("pushed")
    ),
    Way(
        path="entry grace can_email can_push wait_2 end", end=LOST, profile=said_no("email", "push"), **cart("silent")
    ),
    Way(path="entry grace can_email cap_email can_push push_1 wait_2 end", end=LOST, **cart("capped")),
    Way(
        path="entry", end=("exited", "exit_criteria"), events=[(H / 2, "cart_emptied", {"cart_id": "emptied"})],
        **cart("emptied"),
    ),
)  # fmt: skip


# --- the trial ---

TRIAL = {"plan": "trial", "trial_ends_at": "2030-01-15T00:00:00Z"}
PAID = (13 * D + 2 * H, "subscription_started", {"mrr": 49, "currency": "EUR"})
PROJECT, INVITED = "project_created", "teammate_invited"
NUDGED = "entry welcome wait_project gate_nudge nudge_at nudge_project wait_project_2"
UNNUDGED = "entry welcome wait_project gate_nudge wait_project_2"
STALLED = f"{UNNUDGED} tag_stalled ask_sms"
ENDING = "wait_trial_end trial_ending wait_paid"


def no_tips(*channels: str) -> dict[str, Any]:
    return {"preferences": {channel: {"product_tips": False} for channel in channels}}


ONBOARDING = (
    Way(
        "eager", f"entry welcome wait_project tip_invite wait_invite mark_activated {ENDING} revenue goal", GOAL,
        [(3 * H, PROJECT, {}), (D, INVITED, {}), PAID], entry=TRIAL,
    ),
    Way(
        "nudged", f"{NUDGED} tip_invite wait_invite is_active mark_activated {ENDING} end_trial",
        ("completed", "trial_not_converted"), [(3 * D, PROJECT, {})], {"properties": {"active_days_7d": 5}}, TRIAL,
    ),
    Way(
        "idle", f"{NUDGED} tip_invite wait_invite is_active case_study {ENDING} end_trial",
        ("completed", "trial_not_converted"), [(3 * D, PROJECT, {})], {"properties": {"active_days_7d": 1}}, TRIAL,
    ),
    Way(
        "helped", f"{STALLED} sms_help {ENDING} revenue goal", GOAL, [PAID], no_tips("email"), TRIAL,
    ),
    Way("stalled", f"{STALLED} end_stalled", ("completed", "stalled"), (), no_tips("email", "sms"), TRIAL),
    Way("late", f"{UNNUDGED} tip_invite wait_invite mark_activated {ENDING} revenue goal", GOAL,
        [(2 * D, PROJECT, {}), (3 * D, INVITED, {}), PAID], no_tips("email"), TRIAL),
    Way("convinced", "entry welcome", ("exited", "goal"), [(2 * H, "subscription_started", {"mrr": 49})], entry=TRIAL),
    Way("gone", "entry welcome", ("exited", "exit_criteria"), [(2 * H, "account_deleted", {})], entry=TRIAL),
)  # fmt: skip


# --- the consent ---

EXPIRING = {"properties": {"consent_days": 30}, "timezone": "Europe/Berlin"}
CONFIRMED, TOPIC = "consent_confirmed", {"topic": "newsletter"}
ASKED = "entry is_suppressed still_valid slot ask_1 wait_1"
YES = "store_yes tag_yes thanks conv goal"
NO = "grace store_no tag_no crm end_no"

CONSENT = (
    Way("complained", "entry is_suppressed end_suppressed", ("completed", "suppressed"),
        profile=EXPIRING | {"tags": ["complained"]}),
    Way("glad", f"{ASKED} {YES}", GOAL, [(5 * D, CONFIRMED, TOPIC)], EXPIRING),
    Way("slow", f"{ASKED} delivered ask_2 in_app wait_2 {YES}", GOAL, [(20 * D, CONFIRMED, TOPIC)], EXPIRING),
    Way("mute", f"{ASKED} delivered ask_2 in_app wait_2 {NO}", ("completed", "consent_lapsed"),
        [(5 * D, CONFIRMED, {"topic": "offers"})], EXPIRING),
    Way("bounced", f"{ASKED} delivered in_app wait_2 {NO}", ("completed", "consent_lapsed"), (), EXPIRING),
    Way("unsubscribed", f"entry is_suppressed still_valid in_app wait_2 {NO}", ("completed", "consent_lapsed"), (),
        EXPIRING | {"preferences": {"email": {"newsletter": False}}}),
)  # fmt: skip

WAYS = {
    "cart-abandonment": CART,
    "onboarding-with-waitforevent": ONBOARDING,
    "re-permission-consent": CONSENT,
}
