"""The hands that do side effects, on a bad day."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from django.db import OperationalError, connection, transaction

from engine import activities, activity_handlers, activity_worker, connections, triggers
from engine.hands import Hands, Hold
from engine.leases import Lease
from engine.models import Activity
from engine.nodes import registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Node
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Failed, Outcome
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
        Slow.gate.wait(60)
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
    wait_for(lambda: handed_back.count() == 3, seconds=60, what="what nobody began to be handed back")
    waiting = list(Activity.objects.filter(status="pending").values_list("attempts", flat=True))
    Slow.gate.set()
    hands.join(60)

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


def backend() -> int:
    return int(connections.one("SELECT pg_backend_pid()"))


def leave_open() -> int:
    transaction.set_autocommit(False)
    return backend()


@pytest.fixture
def said_by_one_hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    """Have one thread make calls of kinds, one after the other; give what they said."""
    monkeypatch.setattr(activity_handlers, "tidy", {"tidy"})
    hands = Hands(1)

    def say(*calls: tuple[str, Callable[[], Any]]) -> list[Any]:
        for kind, call in calls:
            lease = Lease("", "", None, None, "", kind, "", {}, "", {"non_retryable": []}, 1)
            hands.give([Hold(lease, call, 0.0)], busy=1)
        return [hold.outcome for hold in hands.collect(expected=len(calls), within_s=10.0, grace_s=10.0)]

    yield say
    hands.let_go()


@pytest.mark.django_db(transaction=True)
def test_a_connection_serves_the_next_call_only_where_both_leave_it_as_they_found_it(
    said_by_one_hand: Callable[..., list[Any]],
) -> None:
    tidy, other = ("tidy", backend), ("other", backend)

    first, second, third, fourth = said_by_one_hand(tidy, tidy, other, tidy)

    assert first == second
    assert len({second, third, fourth}) == 3


@pytest.mark.django_db(transaction=True)
def test_a_connection_in_a_transaction_or_after_an_error_serves_nobody_else(
    said_by_one_hand: Callable[..., list[Any]],
) -> None:
    first, failed, second, third = said_by_one_hand(
        ("tidy", leave_open), ("tidy", lambda: connections.one("nonsense")), ("tidy", backend), ("tidy", backend)
    )

    assert isinstance(failed, Failed)
    assert first not in (second, third)
    assert second == third


@pytest.mark.django_db(transaction=True)
def test_a_hand_without_work_lets_its_connection_go(said_by_one_hand: Callable[..., list[Any]]) -> None:
    (kept,) = said_by_one_hand(("tidy", backend))

    gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"
    wait_for(lambda: connections.one(gone, [kept]), seconds=60, what="the connection to be closed")
