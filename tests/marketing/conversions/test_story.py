"""From a message to what it was worth: sent, opened, clicked, bought, and found in the figures."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from engine import event_router
from engine.analytics.period import Period
from engine.inbox import publish_event
from marketing.channels.provider import Report
from marketing.deliveries.reports import record_many
from marketing.models import Conversion, Delivery
from marketing.tallies import reading
from tests.marketing.deliveries.conftest import *  # noqa: F403 - the same language
from tests.marketing.deliveries.conftest import hand_over, send
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle

SELLING: dict[str, Any] = {
    "entry": (*ENTRY, {None: "offer"}),
    "offer": (*send(), {None: "wait"}),
    "wait": (
        "wait_for_event",
        {"event_type": "order", "timeout": "2d"},
        {"event_received": "worth", "timed_out": "end"},
    ),
    "worth": (
        "track_conversion",
        {
            "event_name": "bought",
            "revenue": {"ref": "nodes.wait.event.total"},
            "currency": {"ref": "nodes.wait.event.currency"},
        },
        {None: "end"},
    ),
    "end": ("exit", {}),
}
GOAL = {"name": "bought", "event_type": "order"}


def test_a_click_is_paid(passage, customer, tenant, post, now):
    customer("ada", email="ada@example.com")
    customer("bob", email="bob@example.com")
    ada = passage(graph(SELLING, goal=GOAL)).start()
    passage(ada.flow, "bob").start()
    hand_over()
    offer = Delivery.objects.get(participant_id="ada")
    now.advance(hours=1)
    record_many(tenant.pk, [Report("post", status, delivery_id=str(offer.pk)) for status in ("opened", "clicked")])
    now.advance(hours=1)

    publish_event("ada", "order", data={"total": "49.90", "currency": "EUR"}, tenant=tenant)
    event_router.route()
    run_until_idle()

    found = Conversion.objects.get()
    assert (found.attributed_to, found.attributed_by, found.value) == (offer.pk, "click", Decimal("49.9"))
    [told] = reading.messages(ada.flow, Period.of())
    assert (told["node_id"], told["channel"], told["conversions"]) == ("offer", "email", 1)
    assert [told[name] for name in reading.WAY] == [2, 2, 1, 1, 1]
    [goal] = reading.conversions(ada.flow, Period.of())
    assert goal["revenue"] == [{"currency": "EUR", "value": Decimal("49.9")}]
    assert goal["attributed"] == {"click": 1, "send": 0, "none": 0}


def test_what_was_sent_last_is_paid_where_nobody_clicked(passage, customer, tenant, post, now):
    customer("ada", email="ada@example.com")
    passage(graph(SELLING, goal=GOAL)).start()
    hand_over()
    now.advance(days=1)

    publish_event("ada", "order", tenant=tenant, occurred_at=now() - timedelta(minutes=1))
    event_router.route()
    run_until_idle()

    found = Conversion.objects.get()
    assert (found.attributed_to, found.attributed_by) == (Delivery.objects.get().pk, "send")
    assert found.at == now() - timedelta(minutes=1)
