"""Durable handlers on real workers: killed in the middle, without a broker, with many at once, fed from the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine import Retry, clock, triggers
from engine.bus import EventBus
from engine.event_store.events import Event
from engine.models import Activity, ProjectionCheckpoint
from engine.projections import registry
from flows import lifecycle
from kalcifer.supervisor import Supervisor
from tenants.models import Tenant
from tests.engine.bus import handlers
from tests.engine.bus.handlers import TRACE, traced
from tests.support.graphs import chain
from tests.support.processes import wait_for

Workers = Callable[..., Supervisor]


@pytest.fixture(autouse=True)
def rung() -> None:
    """Doorbells are real here."""


@pytest.fixture(autouse=True)
def fake_time() -> None:
    """And so is time."""
    clock.resync()


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


@pytest.fixture
def workers(real_workers: Workers, trace: Path) -> Workers:
    def start(*roles: str, environment: dict[str, str] | None = None, **options: Any) -> Supervisor:
        own = {"DJANGO_SETTINGS_MODULE": "tests.engine.bus.settings", TRACE: str(trace)}
        return real_workers(*roles, environment=own | (environment or {}), **options)

    return start


def paid(amount: int, aggregate_id: str, **known: Any) -> Event:
    return Event("paid", {"amount": amount}, aggregate_type="account", aggregate_id=aggregate_id, **known)


def all_done() -> bool:
    return not Activity.objects.filter(status__in=("pending", "running")).exists()


def by(name: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["handler"] == name]


def test_many_workers_keep_each_aggregates_order_and_a_failing_handler_hinders_no_other(
    workers: Workers, trace: Path, bus: EventBus, tmp_path: Path
) -> None:
    bus.subscribe("paid", handlers.note)
    bus.subscribe("paid", handlers.gently)
    bus.subscribe("paid", handlers.fail, retry=Retry(attempts=2, backoff_s=0.05))
    bus.subscribe("looked", handlers.look_around)
    bus.subscribe("hello", handlers.also)
    workers("activities", "sweeper")
    workers("activities")
    names = [f"account-{number}" for number in range(4)]

    def both_are_at_work() -> bool:
        bus.publish_sync(Event("hello"))
        return len({line["pid"] for line in traced(trace)}) == 2

    wait_for(both_are_at_work, seconds=60, what="both workers")

    for amount in range(15):
        for name in names:
            bus.publish_sync(paid(amount, name))
    metadata = {"saga_id": "order-1", "correlation_id": "request-1"}
    bus.publish_sync(Event("looked", {}, metadata=metadata))
    wait_for(all_done, seconds=60, what="all deliveries")

    lines = traced(trace)
    assert len({line["pid"] for line in lines if line["handler"] != "also"}) == 2
    for name in names:
        for handler in ("note", "gently"):
            amounts = [line["data"]["amount"] for line in by(handler, lines) if line["aggregate"] == name]
            assert amounts == list(range(15))
        tries = [line["data"]["amount"] for line in by("fail", lines) if line["aggregate"] == name]
        assert tries == [amount for amount in range(15) for _ in range(2)]
    assert Counter(Activity.objects.exclude(lane="").values_list("status", flat=True)) == {
        "completed": 120,
        "parked": 60,
    }
    logged = [
        orjson.loads(line) for line in (tmp_path / "activities.log").read_bytes().splitlines() if b'"handled"' in line
    ]
    assert [(line["saga_id"], line["correlation_id"], line["tenant"]) for line in logged] == [
        ("order-1", "request-1", bus._tenant)
    ]


def test_a_worker_that_is_killed_inside_a_handler_loses_no_event(workers: Workers, trace: Path, bus: EventBus) -> None:
    bus.subscribe("paid", handlers.die_once)
    workers("activities", "sweeper")

    for amount in range(3):
        bus.publish_sync(paid(amount, "account"))
    wait_for(all_done, seconds=60, what="another worker to go on")

    lines = traced(trace)
    assert [line["data"]["amount"] for line in by("die_once", lines)] == [0, 0, 1, 2]
    assert [line["data"]["amount"] for line in by("survived", lines)] == [0, 1, 2]
    assert len({line["event_id"] for line in lines}) == 3


def test_without_a_broker_handlers_are_called_at_the_sweeps_pace(workers: Workers, trace: Path, bus: EventBus) -> None:
    bus.subscribe("paid", handlers.note)
    workers("sweeper", environment={"REDIS_URL": "redis://127.0.0.1:1/0"})

    for amount in range(5):
        bus.publish_sync(paid(amount, "account"))
    wait_for(all_done, seconds=60, what="the sweeper's hands")

    assert [line["data"]["amount"] for line in traced(trace)] == list(range(5))


def test_a_handler_that_is_subscribed_in_the_workers_hears_of_runs(
    workers: Workers, trace: Path, transactional_db: None
) -> None:
    workers("advance", "activities", "background", "sweeper")
    wait_for(lambda: "bus:tests.engine.bus.handlers:note" in known_to_the_workers(), seconds=30, what="a checkpoint")
    flow = lifecycle.activate(lifecycle.create(Tenant.objects.get(name="default"), "flow", graph=chain(2)))

    runs = {str(triggers.start(flow, f"p{number}").pk) for number in range(20)}
    wait_for(lambda: len(traced(trace)) >= len(runs), seconds=60, what="the log to be fed")
    wait_for(all_done, seconds=60, what="all deliveries")

    heard = Counter(line["aggregate"] for line in traced(trace))
    assert heard == dict.fromkeys(runs, 1)
    assert registry.names() == [name for name in registry.names() if not name.startswith("bus:")]


def known_to_the_workers() -> set[str]:
    return set(ProjectionCheckpoint.objects.values_list("name", flat=True))
