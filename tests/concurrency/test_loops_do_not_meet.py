"""Two loops, operators and side effects over the same instances: each node once, one winner, nothing stranded."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from engine import activities, activity_worker, operations, timers, triggers
from engine.execution import loop
from engine.models import Activity, StoredEvent
from engine.nodes import registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Node
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Outcome
from flows.models import ExecutionStep, Flow, FlowInstance
from tests.engine.conftest import FakeClock
from tests.support.graphs import ENTRY, chain, graph
from tests.support.passage import run_until_idle
from tests.support.races import at_once
from tests.support.soundness import assert_all_sound

META = {"actor": "test", "task_id": ""}


class Noted(Node):
    """A side effect that notes under which key and attempt it was done."""

    type = "noted"
    done: ClassVar[Counter[tuple[str, int]]] = Counter()
    guard: ClassVar[threading.Lock] = threading.Lock()

    class Config(ActionConfig):
        """As every action."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        with Noted.guard:
            Noted.done[step.idempotency_key, step.attempt] += 1
        return Completed({})


@pytest.fixture(autouse=True)
def noted() -> None:
    registry.register(Noted)
    Noted.done.clear()


def with_effect(flow_of: Callable[..., Flow]) -> Flow:
    nodes: dict[str, tuple[Any, ...]] = {
        "entry": (*ENTRY, {None: "effect"}),
        "effect": ("noted", {}, {None: "done"}),
        "done": ("exit", {"reason": "through"}),
    }
    return flow_of(graph(nodes))


def go_on() -> int:
    return loop.advance(slice_s=30)


def test_two_loops_over_two_thousand_instances_run_each_node_once(flow_of: Callable[..., Flow]) -> None:
    triggers.start_many(flow_of(chain(2)), [f"p{i}" for i in range(2000)])

    moved = at_once([go_on, go_on])
    go_on()

    assert sum(moved) == 2000
    assert min(moved) > 0
    assert FlowInstance.objects.filter(status="completed").count() == 2000
    assert ExecutionStep.objects.count() == 2000 * 4
    assert_all_sound()


def test_cancel_against_advance_leaves_each_run_either_completed_or_exited(
    flow_of: Callable[..., Flow], now: FakeClock
) -> None:
    nodes: dict[str, tuple[Any, ...]] = {
        "entry": (*ENTRY, {None: "pause"}),
        "pause": ("wait", {"duration": "1h"}, {None: "done"}),
        "done": ("exit", {"reason": "through"}),
    }
    verdicts = triggers.start_many(flow_of(graph(nodes)), [f"p{i}" for i in range(300)])
    ids = [str(each.instance_id) for each in verdicts]
    run_until_idle()
    now.advance(hours=1)

    def cancel() -> None:
        for some in range(0, 300, 10):
            operations.cancel_many(reversed(ids[some : some + 10]))

    at_once([cancel, lambda: timers.wake_due(slice_s=30), go_on])
    timers.wake_due()
    go_on()

    ends = Counter(FlowInstance.objects.values_list("status", flat=True))
    assert ends["completed"] + ends["exited"] == 300
    assert_all_sound()


def test_pause_and_resume_against_advance_strand_nobody(flow_of: Callable[..., Flow]) -> None:
    verdicts = triggers.start_many(flow_of(chain(3)), [f"p{i}" for i in range(300)])
    ids = [str(each.instance_id) for each in verdicts]

    def pause_and_resume() -> None:
        for some in range(0, 300, 30):
            operations.pause_many(ids[some : some + 30])
            operations.resume_many(ids[some : some + 30])

    at_once([pause_and_resume, pause_and_resume, go_on])
    operations.resume_many(ids)
    go_on()

    assert FlowInstance.objects.filter(status="completed").count() == 300
    assert_all_sound()


def test_the_outcome_of_a_side_effect_against_a_cancel_has_one_winner(flow_of: Callable[..., Flow]) -> None:
    verdicts = triggers.start_many(with_effect(flow_of), [f"p{i}" for i in range(200)])
    ids = [str(each.instance_id) for each in verdicts]
    run_until_idle()
    leases = activities.take(200, "worker")
    assert len(leases) == 200
    ended = [activities.judge(lease, Completed({})) for lease in leases]

    def record() -> None:
        for some in range(0, 200, 20):
            activities.record(ended[some : some + 20], META)

    def cancel() -> None:
        for some in range(0, 200, 20):
            operations.cancel_many(ids[some : some + 20])

    at_once([record, cancel])
    go_on()

    by_status = Counter(Activity.objects.values_list("status", flat=True))
    assert by_status["completed"] + by_status["cancelled"] == 200
    assert StoredEvent.objects.filter(type="activity_completed").count() == by_status["completed"]
    assert set(FlowInstance.objects.values_list("status", flat=True)) <= {"completed", "exited"}
    assert_all_sound()


def test_two_activity_workers_never_do_one_attempt_twice(flow_of: Callable[..., Flow]) -> None:
    triggers.start_many(with_effect(flow_of), [f"p{i}" for i in range(500)])
    run_until_idle()
    workers = [activity_worker.ActivityWorker(), activity_worker.ActivityWorker()]

    at_once([lambda worker=worker: worker.run(slice_s=30) for worker in workers])
    go_on()

    assert set(Noted.done.values()) == {1}
    assert len(Noted.done) == 500
    assert FlowInstance.objects.filter(status="completed").count() == 500
    assert_all_sound()
