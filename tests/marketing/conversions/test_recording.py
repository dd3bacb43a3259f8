"""Conversions as runs reach them: once per run and name, put down to a message, and as many as the log says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine import clock, connections, event_router, timers, triggers
from engine.analytics.period import Period
from engine.inbox import publish_event
from engine.models import StoredEvent
from marketing.conversions import recording
from marketing.customers import merging
from marketing.models import Conversion, Delivery
from marketing.tallies import reading
from tenants.models import Tenant
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage, run_until_idle

GOAL = {"name": "bought", "event_type": "order", "window": "7d"}
BUYING: dict[str, Any] = {
    "entry": (*ENTRY, {None: "wait"}),
    "wait": (
        "wait_for_event",
        {"event_type": "order", "timeout": "2d"},
        {"event_received": "count", "timed_out": "done"},
    ),
    "count": (
        "track_conversion",
        {
            "event_name": "bought",
            "revenue": {"ref": "nodes.wait.event.total"},
            "currency": {"ref": "nodes.wait.event.currency"},
            "metadata": {"order": {"ref": "nodes.wait.event.id"}},
        },
        {None: "goal"},
    ),
    "goal": ("goal_reached", {"goal_name": "bought"}),
    "done": ("exit", {}),
}


def buying(**goal: Any) -> dict[str, Any]:
    return graph(BUYING, goal={**GOAL, **goal})


def happen(tenant: Tenant, event_type: str, who: str = "ada", **data: Any) -> None:
    publish_event(who, event_type, data=data, tenant=tenant)
    event_router.route()
    run_until_idle()


@pytest.fixture
def ada(passage: Callable[..., Passage]) -> Passage:
    return passage(buying()).start()


@pytest.fixture
def sent(tenant: Tenant) -> Callable[..., Delivery]:
    """Have a message of a run been sent, and clicked perhaps."""

    def make(run: Passage, node: str, *, at: datetime, clicked_at: datetime | None = None) -> Delivery:
        history = [{"status": "sent", "at": at.isoformat(), "detail": ""}]
        if clicked_at:
            history.append({"status": "clicked", "at": clicked_at.isoformat(), "detail": ""})
        return Delivery.objects.create(
            tenant=tenant, flow_id=run.flow.pk, instance_id=run.id, node_id=node, key=f"{run.id}:{node}:1",
            participant_id=run.participant_id, channel="email", status="clicked" if clicked_at else "sent",
            history=history, created_at=at, sent_at=at,
        )  # fmt: skip

    return make


def test_event_node_and_end_are_one_conversion_that_knows_its_value(ada: Passage, tenant: Tenant) -> None:
    happen(tenant, "order", total="49.90", currency="EUR", id="o-7")

    found = Conversion.objects.get()
    assert (found.name, found.value, found.currency) == ("bought", Decimal("49.9"), "EUR")
    assert (found.instance_id, found.flow_id, found.version) == (ada.id, ada.flow.pk, 1)
    assert (found.participant_id, found.metadata) == ("ada", {"order": "o-7"})
    assert ada.event_types.count("goal_reached") == 3


def test_a_goal_counts_after_the_run_has_ended_and_within_its_window(
    ada: Passage, tenant: Tenant, now: Any, passage: Callable[..., Passage]
) -> None:
    bob = passage(ada.flow, "bob").start()
    now.advance(days=3)
    run_until_idle_after_timers()
    assert (ada.status, bob.status) == ("completed", "completed")
    assert not Conversion.objects.exists()

    happen(tenant, "order", "ada")
    happen(tenant, "order", "ada")
    now.advance(days=5)
    happen(tenant, "order", "bob")

    assert [each.participant_id for each in Conversion.objects.all()] == ["ada"]


def run_until_idle_after_timers() -> None:
    timers.wake_due()
    run_until_idle()


@pytest.mark.parametrize(
    ("attribution", "node", "how"),
    [("last_click_then_last_send", "first", "click"), ("last_send", "second", "send"), ("entry", None, "")],
)
def test_a_conversion_is_put_down_to_a_message(
    attribution: str, node: str | None, how: str, passage: Callable[..., Passage], tenant: Tenant, sent: Any, now: Any
) -> None:
    run = passage(buying(attribution=attribution)).start()
    by_node = {
        "first": sent(run, "first", at=now(), clicked_at=now() + timedelta(hours=1)),
        "second": sent(run, "second", at=now() + timedelta(hours=2)),
        "later": sent(run, "later", at=now() + timedelta(days=1), clicked_at=now() + timedelta(days=1)),
    }
    now.advance(hours=3)

    happen(tenant, "order")

    found = Conversion.objects.get()
    assert (found.attributed_to, found.attributed_by) == (by_node[node].pk if node else None, how)


def test_without_a_click_it_is_the_last_one_sent(ada: Passage, tenant: Tenant, sent: Any, now: Any) -> None:
    sent(ada, "first", at=now())
    second = sent(ada, "second", at=now() + timedelta(minutes=1))
    now.advance(hours=1)

    happen(tenant, "order")

    assert Conversion.objects.get().attributed_to == second.pk


def test_what_a_later_one_knows_is_filled_in_and_what_is_known_stays(passage: Callable[..., Passage]) -> None:
    nodes = {
        "entry": (*ENTRY, {None: "plain"}),
        "plain": ("track_conversion", {"event_name": "g", "currency": "USD", "metadata": {"a": 1}}, {None: "pause"}),
        "pause": ("wait", {"duration": "1h"}, {None: "worth"}),
        "worth": (
            "track_conversion",
            {"event_name": "g", "revenue": "5.00", "currency": "EUR", "metadata": {"a": 2, "b": 2}},
            {None: "more"},
        ),
        "more": (
            "track_conversion",
            {"event_name": "g", "revenue": "9.00", "currency": "GBP", "variant": "v"},
            {None: "end"},
        ),
        "end": ("exit", {}),
    }
    passage(graph(nodes)).start()
    with clock.frozen(clock.now() + timedelta(hours=2)):
        run_until_idle_after_timers()

    found = Conversion.objects.get()
    assert (found.value, found.currency, found.variant) == (Decimal(5), "EUR", "v")
    assert found.metadata == {"a": 1, "b": 2}


def test_a_batch_is_recorded_by_one_statement_however_many_it_has(
    flow_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(recording, "execute", lambda *args: seen.append(args) or connections.execute(*args))
    counting = {
        "entry": (*ENTRY, {None: "count"}),
        "count": ("track_conversion", {"event_name": "g", "revenue": 5, "currency": "EUR"}, {None: "end"}),
        "end": ("goal_reached", {"goal_name": "g"}),
    }
    flow = flow_of(graph(counting))

    triggers.start_many(flow, [f"p{n}" for n in range(60)])
    run_until_idle()

    assert len(seen) == 1
    assert Conversion.objects.count() == 60


def test_who_was_kept_out_converts_too_and_is_told_apart(passage: Callable[..., Passage], tenant: Tenant) -> None:
    run = passage(graph(BUYING, goal=GOAL, holdout_percent=100)).start()
    assert (run.status, run.instance.exit_reason) == ("exited", "holdout")

    happen(tenant, "order")

    assert Conversion.objects.get().attributed_by == "holdout"
    [found] = reading.conversions(run.flow, Period.of())
    assert (found["conversions"], found["held_out"]) == (0, 1)


def test_what_a_profile_reached_goes_with_it(
    passage: Callable[..., Passage], tenant: Tenant, customer: Callable[..., Any]
) -> None:
    customer("anon")
    customer("ada")
    passage(buying(), "anon").start()
    happen(tenant, "order", "anon")

    merging.merge(tenant, "anon", "ada")

    assert Conversion.objects.get().participant_id == "ada"


def test_there_are_as_many_as_the_log_has(passage: Callable[..., Passage], tenant: Tenant) -> None:
    first = passage(buying(exit_on_goal=True), "ada").start()
    passage(first.flow, "bob").start()
    happen(tenant, "order", "ada", total=1)
    happen(tenant, "order", "bob")
    happen(tenant, "order", "bob")

    reached = {(each.aggregate_id, each.data["name"]) for each in StoredEvent.objects.filter(type="goal_reached")}
    assert {(str(each.instance_id), each.name) for each in Conversion.objects.all()} == {
        (str(run), name) for run, name in reached
    }
