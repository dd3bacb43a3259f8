"""What runs, sagas and users' aggregates record reaches durable handlers from the log, whoever recorded it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from engine import triggers
from engine.bus import EventBus, feed
from engine.connections import execute
from engine.event_store import reading
from engine.event_store.events import SAGA, Event
from engine.event_store.store import EventStore
from engine.models import Activity
from engine.projections import registry, rounds
from flows.models import Flow
from tenants.models import Tenant
from tests.engine.bus import handlers
from tests.engine.bus.handlers import also, note
from tests.support.graphs import chain
from tests.support.passage import run_until_idle
from tests.support.processes import wait_for

Work = Callable[[], None]

ALL_READABLE = f"SELECT NOT EXISTS (SELECT 1 FROM stored_events WHERE NOT {reading.READABLE})"


@pytest.fixture
def feeds(bus: EventBus) -> Callable[[], int]:
    """Read the log on, for all handlers that are subscribed; what was recorded before the first time is past."""

    def read() -> int:
        # A transaction of any database of the server, another test's too, holds readers back.
        wait_for(lambda: execute(ALL_READABLE).fetchone()[0], seconds=60, what="the log to be readable")
        return rounds.run()

    return read


def test_a_handler_hears_of_runs_once_each_and_in_the_order_of_their_log(
    bus: EventBus, feeds: Callable[[], int], flow_of: Callable[..., Flow], work: Work
) -> None:
    flow = flow_of(chain(2))
    triggers.start(flow, "before")
    run_until_idle()
    bus.subscribe("*", note)
    bus.subscribe("completed", also)
    feeds()

    runs = [str(triggers.start(flow, f"p{number}").pk) for number in range(3)]
    run_until_idle()
    feeds()
    feeds()
    work()

    for run in runs:
        heard = [event for name, event in handlers.told if name == "note" and event.aggregate_id == run]
        assert [event.sequence for event in heard] == list(range(1, len(heard) + 1))
        assert (heard[0].type, heard[-1].type) == ("flow_started", "completed")
    assert sorted(event.aggregate_id for name, event in handlers.told if name == "also") == sorted(runs)
    assert {event.aggregate_id for _, event in handlers.told} == set(runs)


def test_what_a_store_announces_and_what_the_log_tells_count_once(
    bus: EventBus, tenant: Tenant, feeds: Callable[[], int], work: Work
) -> None:
    bus.subscribe("deposited", note)
    feeds()
    announcing, silent = EventStore(tenant, event_bus=bus), EventStore(tenant)

    for amount in range(3):
        announcing.append_sync(("account", "ada"), [Event("deposited", {"amount": amount})])
    silent.append_sync(("account", "bob"), [Event("deposited", {"amount": 3})])
    assert Activity.objects.count() == 3
    feeds()
    work()

    assert sorted(each["amount"] for each in handlers.data("note")) == [0, 1, 2, 3]
    assert {event.sequence for _, event in handlers.told} == {1, 2, 3}


def test_an_append_that_is_rolled_back_tells_nobody(bus: EventBus, tenant: Tenant, work: Work) -> None:
    heard: list[Event] = []
    bus.subscribe("deposited", note)
    bus.subscribe("deposited", heard.append)
    store = EventStore(tenant, event_bus=bus)

    with transaction.atomic():
        store.append_sync(("account", "ada"), [Event("deposited", {"amount": 1})])
        transaction.set_rollback(True)
    store.append_sync(("account", "ada"), [Event("deposited", {"amount": 2})])
    bus.drain_sync(timeout=60)
    work()

    assert handlers.data("note") == [event.data for event in heard] == [{"amount": 2}]


def test_another_tenants_log_is_not_told(
    bus: EventBus, other_tenant: Tenant, feeds: Callable[[], int], work: Work
) -> None:
    bus.subscribe("*", note)
    feeds()

    EventStore(other_tenant).append_sync(("account", "ada"), [Event("deposited")])
    feeds()
    work()

    assert handlers.told == []


def test_what_sagas_say_themselves_is_not_read_from_their_log() -> None:
    saga = {"aggregate_type": SAGA, "aggregate_id": "1"}
    events = [Event(kind, **saga) for kind in ("saga_started", "step_completed", "saga_completed", "saga_failed")]

    assert [event.type for event in events if not feed._is_said_by_a_saga(event)] == ["saga_started"]
    assert not feed._is_said_by_a_saga(Event("saga_completed", aggregate_type="account"))


@pytest.mark.parametrize(
    ("patterns", "types"),
    [
        (["completed"], ["completed"]),
        (["completed", "failed"], ["completed", "failed"]),
        (["completed", "paid:*"], []),
        (["*"], []),
        (["step_completed:*"], None),
        (["saga_completed", "step_compensated:pay"], None),
    ],
)
def test_only_what_is_wanted_and_can_be_there_is_read(
    bus: EventBus, patterns: list[str], types: list[str] | None
) -> None:
    for pattern in patterns:
        bus.subscribe(pattern, note)

    found: Any = registry._registered.get(feed.name_of("tests.engine.bus.handlers:note"))

    assert (None if found is None else list(found.types)) == types
    for pattern in patterns:
        bus.unsubscribe(pattern, note)
    assert feed.name_of("tests.engine.bus.handlers:note") not in registry.names()
