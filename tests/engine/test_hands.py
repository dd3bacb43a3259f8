"""The hands that do side effects, on a bad day."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from django.db import OperationalError, connection

from engine import activities, activity_worker, triggers
from engine.models import Activity
from engine.nodes import registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Node
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Outcome
from flows.models import Flow, FlowInstance
from tests.engine.sagas.calls import Speechless
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle
from tests.support.processes import wait_for


class Slow(Node):
    """A call that takes as long as a test wants."""

    type = "slow"
    gate: ClassVar[threading.Event] = threading.Event()
    begun: ClassVar[list[str]] = []

    class Config(ActionConfig):
        """As every action."""

    def prepare(self, config: Any, step: StepContext) -> dict[str, Any]:
        return {}

    def execute(self, config: Any, step: StepContext) -> Outcome:
        Slow.begun.append(step.participant_id)
        Slow.gate.wait(10)
        return Completed({})


@pytest.fixture(autouse=True)
def slow() -> None:
    registry.register(Slow)
    Slow.gate, Slow.begun = threading.Event(), []
    activity_worker._worker.clear()


@pytest.fixture
def calls(flow_of: Callable[..., Flow]) -> Flow:
    nodes = {"entry": (*ENTRY, {None: "slow"}), "slow": ("slow", {}, {None: "done"}), "done": ("exit", {})}
    return flow_of(graph(nodes))


def test_what_was_done_is_recorded_when_the_database_is_back(calls: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    triggers.start(calls, "ada")
    run_until_idle()
    record, failures = activities.record, [OperationalError("away"), OperationalError("away")]

    def sometimes(*given: Any) -> None:
        if failures:
            raise failures.pop()
        record(*given)

    monkeypatch.setattr(activities, "record", sometimes)
    Slow.gate.set()

    assert activity_worker.run() == 1

    run_until_idle()
    assert (Slow.begun, FlowInstance.objects.get().status) == (["ada"], "completed")


def test_what_nobody_had_a_hand_for_is_handed_back_and_no_attempt_counts(calls: Flow) -> None:
    worker = activity_worker.ActivityWorker()
    worker._appetite = 10 * worker._threads
    triggers.start_many(calls, [f"p{i}" for i in range(worker._threads + 3)])
    run_until_idle()

    def work() -> None:
        worker.run()
        connection.close()

    hands = threading.Thread(target=work)
    hands.start()

    handed_back = Activity.objects.filter(status="pending", attempts=0)
    wait_for(lambda: handed_back.count() == 3, seconds=8, what="what nobody began to be handed back")
    waiting = list(Activity.objects.filter(status="pending").values_list("attempts", flat=True))
    Slow.gate.set()
    hands.join(20)

    assert waiting == [0, 0, 0]
    assert set(Activity.objects.values_list("status", "attempts")) == {("completed", 1)}


def test_an_error_that_cannot_be_told_costs_no_hand(calls: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Outcome:
        raise Speechless

    monkeypatch.setattr(Slow, "execute", fail)
    triggers.start(calls, "ada")
    run_until_idle()

    assert activity_worker.run() == 1

    assert Activity.objects.get().error["code"] == "Speechless"
