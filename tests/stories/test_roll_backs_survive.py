"""Many that fail together are rolled back by two hands, whatever happens to messages and workers meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from engine import triggers
from engine.compensation import verbs
from engine.models import Activity, SagaRun
from engine.sagas import starting
from engine.sagas.builder import Saga, SagaStep
from flows.models import Flow, FlowInstance
from kalcifer.supervisor import Supervisor
from tenants.models import Tenant
from tests.stories.test_everything_survives_a_kill import forget_every_doorbell, traced
from tests.support.graphs import ENTRY, graph
from tests.support.hostile import bookings
from tests.support.processes import wait_for
from tests.support.soundness import assert_all_sound

pytestmark = pytest.mark.processes

MANY = 100
FAILS: dict[str, tuple[Any, ...]] = {
    "entry": (*ENTRY, {None: "first"}),
    "first": ("booked", {}, {None: "second"}),
    "second": ("booked", {}, {None: "third"}),
    "third": ("refused", {"on_failure": "fail"}, {None: "done"}),
    "done": ("exit", {}),
}


@pytest.fixture(autouse=True)
def known(hostile_nodes: None) -> None:
    """The nodes of this page, also in this process."""
    bookings.register()


def all_are(status: str, count: int = MANY) -> bool:
    return FlowInstance.objects.filter(status=status).count() == count


def keys_of(instances: list[str], *nodes: str) -> set[str]:
    return {f"{each}:{node}:compensate" for each in instances for node in nodes}


def undone_in(trace: Path) -> dict[str, int]:
    return {key: count for key, count in traced(trace).items() if key.endswith(":compensate")}


def test_a_hundred_runs_and_a_hundred_sagas_fail_together_on_two_hands(
    flow_of: Callable[..., Flow], tenant: Tenant, workers: Callable[..., Supervisor], trace: Path
) -> None:
    workers("advance", "activities", "sweeper", activity_slots=2)
    steps = [
        SagaStep("first", bookings.stay, bookings.leave, args=("a",)),
        SagaStep("second", bookings.stay, bookings.leave, args=("b",), after=("first",)),
        SagaStep("third", bookings.say_no, after=("second",)),
    ]
    began = time.monotonic()

    verdicts = triggers.start_many(flow_of(graph(FAILS, on_failure="compensate")), [f"p{i}" for i in range(MANY)])
    starting.start_sagas_sync(
        Saga("order", steps=steps), [starting.Wish(f"order-{i}") for i in range(MANY)], tenant=tenant
    )
    wait_for(lambda: all_are("compensated"), seconds=60, what="all runs to be rolled back")
    wait_for(lambda: SagaRun.objects.filter(status="COMPENSATED").count() == MANY, seconds=60, what="all sagas")

    assert time.monotonic() - began < 60
    ids = [str(each.instance_id) for each in verdicts]
    assert undone_in(trace) == dict.fromkeys(keys_of(ids, "first", "second"), 1)
    words = traced(trace)
    assert (words["undone:a"], words["undone:b"]) == (MANY, MANY)
    assert_all_sound()


def failed_ones(flow_of: Callable[..., Flow], count: int) -> list[str]:
    verdicts = triggers.start_many(flow_of(graph(FAILS)), [f"p{i}" for i in range(count)])
    wait_for(lambda: all_are("failed", count), seconds=60, what="all to fail")
    return [str(each.instance_id) for each in verdicts]


def test_all_chains_are_lost(flow_of: Callable[..., Flow], workers: Callable[..., Supervisor], trace: Path) -> None:
    running = workers("advance", "activities", "sweeper")
    ids = failed_ones(flow_of, MANY)

    running.kill("activities")
    verbs.compensate_many(ids)
    forget_every_doorbell()
    wait_for(lambda: all_are("compensated"), seconds=60, what="all runs to be rolled back")

    assert undone_in(trace) == dict.fromkeys(keys_of(ids, "first", "second"), 1)
    assert_all_sound()


def test_the_chain_lies_in_the_broker_and_each_link_carries_the_rest(
    flow_of: Callable[..., Flow], workers: Callable[..., Supervisor], trace: Path
) -> None:
    running = workers("advance", "activities")
    (key,) = failed_ones(flow_of, 1)
    running.stop()

    verbs.compensate(key)

    server = redis.Redis.from_url(settings.REDIS_URL)
    waiting = server.lrange(f"{settings.CELERY_BROKER_TRANSPORT_OPTIONS['global_keyprefix']}activities", 0, -1)
    server.close()
    assert any(b"engine.compensate_next" in message for message in waiting)
    workers("activities")
    wait_for(lambda: all_are("compensated", 1), seconds=30, what="the chain to be followed without any sweep")
    assert undone_in(trace) == dict.fromkeys(keys_of([key], "first", "second"), 1)


def test_a_worker_is_killed_inside_a_compensation(
    flow_of: Callable[..., Flow], workers: Callable[..., Supervisor], trace: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    running = workers("advance", "activities", "sweeper", environment={bookings.GATE: str(gate)})
    (key,) = failed_ones(flow_of, 1)
    verbs.compensate(key)
    wait_for(lambda: undone_in(trace), seconds=30, what="the compensation to be under way")

    running.kill("activities")
    gate.touch()
    wait_for(lambda: all_are("compensated", 1), seconds=60, what="somebody else to go on")

    second, first = sorted(keys_of([key], "first", "second"), reverse=True)
    assert undone_in(trace) == {second: 2, first: 1}
    assert Activity.objects.get(idempotency_key=second).attempts == 2
    assert_all_sound()
