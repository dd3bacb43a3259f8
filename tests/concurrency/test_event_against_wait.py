"""No event falls between a wait that is being registered and the router; of an event and a timeout exactly one wins."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from engine import event_router, timers, triggers
from engine.execution import write
from engine.inbox import publish_event
from engine.models import InboundEvent, StoredEvent
from flows.models import Flow, FlowInstance
from tenants.models import Tenant
from tests.engine.conftest import FakeClock
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage, run_until_idle
from tests.support.races import Meanwhile, at_once
from tests.support.soundness import assert_all_sound


def reply_or_nudge(**config: Any) -> dict[str, Any]:
    wait = {"event_type": "replied", "timeout": "3d"} | config
    return graph(
        {
            "entry": (*ENTRY, {None: "reply"}),
            "reply": ("wait_for_event", wait, {"event_received": "thanks", "timed_out": "gave_up"}),
            "thanks": ("exit", {"reason": "replied"}),
            "gave_up": ("exit", {"reason": "silent"}),
        }
    )


@contextmanager
def held_before_the_batch_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[threading.Event, threading.Event]]:
    """The seam: a batch has looked back and locked its participants, and has written nothing yet."""
    reached, go_on, original = threading.Event(), threading.Event(), write.batch

    def hold(bursts: Any, **options: Any) -> None:
        if not reached.is_set():
            reached.set()
            assert go_on.wait(60)
        original(bursts, **options)

    monkeypatch.setattr(write, "batch", hold)
    yield reached, go_on
    go_on.set()


@pytest.mark.parametrize("lookback", ["none", "since_previous_node", "since_entry"])
def test_an_event_that_comes_while_its_wait_is_being_registered_resolves_it(
    flow_of: Callable[..., Flow], tenant: Tenant, monkeypatch: pytest.MonkeyPatch, lookback: str
) -> None:
    triggers.start(flow_of(reply_or_nudge(lookback=lookback)), "ada")

    with held_before_the_batch_is_written(monkeypatch) as (reached, go_on), Meanwhile(run_until_idle) as loop:
        assert reached.wait(60)
        publish_event("ada", "replied", tenant=tenant)
        # The router meets the lock of the participant, and passes over.
        assert event_router.route() == 0
        go_on.set()
        loop.answer()
    event_router.route()
    run_until_idle()

    assert FlowInstance.objects.get().exit_reason == "replied"
    assert_all_sound()


@pytest.mark.parametrize("lookback", ["since_previous_node", "since_entry"])
def test_an_event_stored_before_and_committed_after_the_look_back_resolves_the_wait(
    flow_of: Callable[..., Flow], tenant: Tenant, now: FakeClock, lookback: str
) -> None:
    triggers.start(flow_of(reply_or_nudge(lookback=lookback)), "ada")
    stored, commit = threading.Event(), threading.Event()

    def long_transaction() -> None:
        with transaction.atomic():
            publish_event("ada", "replied", tenant=tenant)
            stored.set()
            assert commit.wait(60)

    with Meanwhile(long_transaction) as caller:
        assert stored.wait(60)
        now.advance(seconds=1)
        run_until_idle()
        assert FlowInstance.objects.get().status == "waiting"
        commit.set()
        caller.answer()
    event_router.route()
    run_until_idle()

    assert FlowInstance.objects.get().exit_reason == "replied"
    assert_all_sound()


def test_an_event_that_one_wait_found_looking_back_does_not_resolve_the_next(
    flow_of: Callable[..., Flow], tenant: Tenant, now: FakeClock
) -> None:
    wait = {"event_type": "replied", "timeout": "3d", "lookback": "since_entry"}
    nodes: dict[str, tuple[Any, ...]] = {
        "entry": (*ENTRY, {None: "first"}),
        "first": ("wait_for_event", wait, {"event_received": "second", "timed_out": "done"}),
        "second": ("wait_for_event", wait, {"event_received": "done", "timed_out": "done"}),
        "done": ("exit", {"reason": "through"}),
    }
    ada = Passage(flow_of(graph(nodes)), "ada")
    ada.id = triggers.start(ada.flow, "ada").pk
    now.advance(seconds=1)
    publish_event("ada", "replied", tenant=tenant)
    now.advance(seconds=1)
    run_until_idle()

    event_router.route()
    run_until_idle()

    assert ada.path == ["entry", "first"]
    assert ada.waiting_at == ["second"]


def test_of_an_event_and_a_timeout_that_race_exactly_one_wins(
    flow_of: Callable[..., Flow], tenant: Tenant, now: FakeClock
) -> None:
    flow = flow_of(reply_or_nudge())
    names = [f"p{i}" for i in range(200)]
    triggers.start_many(flow, names)
    run_until_idle()
    now.advance(days=3)

    def send_and_route() -> None:
        for name in names:
            publish_event(name, "replied", tenant=tenant)
        event_router.route(slice_s=20)

    at_once([send_and_route, lambda: timers.wake_due(slice_s=20), lambda: timers.wake_due(slice_s=20)])
    event_router.route(slice_s=20)
    timers.wake_due(slice_s=20)
    run_until_idle()

    ends = Counter(FlowInstance.objects.values_list("exit_reason", flat=True))
    assert ends["replied"] + ends["silent"] == len(names)
    assert StoredEvent.objects.filter(type="wait_resolved").count() == len(names)
    resolved = [
        each for event in InboundEvent.objects.all() for each in event.effects if each["kind"] == "wait_resolved"
    ]
    assert len(resolved) == ends["replied"]
    assert_all_sound()


def test_what_happened_in_time_wins_though_the_timer_is_fired_first(
    flow_of: Callable[..., Flow], tenant: Tenant, now: FakeClock
) -> None:
    ada = Passage(flow_of(reply_or_nudge()), "ada").start()
    now.advance(days=3, hours=1)
    publish_event("ada", "replied", tenant=tenant, occurred_at=now() - timedelta(hours=2))

    assert timers.wake_due() == 0
    event_router.route()
    timers.wake_due()
    run_until_idle()

    assert ada.instance.exit_reason == "replied"
