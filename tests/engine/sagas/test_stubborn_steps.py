"""Steps on workers that can neither be stopped nor believed: nothing runs beside them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from engine import Retry, lateness
from engine.activity_worker import ActivityWorker
from engine.models import Activity
from tests.engine.sagas import calls
from tests.engine.sagas.conftest import Followed, lease, record, step
from tests.support.processes import wait_for
from tests.support.races import Meanwhile
from tests.support.soundness import assert_all_sound

Begin = Callable[..., Followed]
SHORT = 0.05


@pytest.fixture(autouse=True)
def nobody_is_held_up() -> Iterator[None]:
    yield
    calls.gate.set()


@pytest.fixture
def worker() -> ActivityWorker:
    """A worker with two hands."""
    return ActivityWorker(threads=2)


def test_a_step_that_cannot_be_stopped_is_awaited_and_only_then_undone(begin: Begin, worker: ActivityWorker) -> None:
    order = begin(step("a"), step("b", calls.hold_on, timeout=SHORT, after=["a"]), step("c", after=["b"]))

    with Meanwhile(worker.run):
        wait_for(lambda: order.row.ending, what="the saga to end")
        held = (order.state, order.step("b")["state"], Activity.objects.get(node_id="b").status, list(calls.done))
        calls.gate.set()

    assert held == ("RUNNING", "running", "running", ["a", "begins b"])
    assert calls.done == ["a", "begins b", "b", "not b", "not a"]
    assert (order.state, order.status["error"]["code"]) == ("COMPENSATED", "timeout")
    assert order.step("c")["state"] == "skipped"
    assert_all_sound()


def test_no_attempt_begins_beside_one_that_cannot_be_stopped(
    begin: Begin, worker: ActivityWorker, caplog: pytest.LogCaptureFixture
) -> None:
    order = begin(step("a", calls.hold_on, timeout=SHORT, retry=Retry(attempts=3, backoff_s=0)))

    with caplog.at_level(logging.WARNING), Meanwhile(worker.run):
        wait_for(lambda: "activity.overdue" in caplog.text, what="the step to be overdue")
        calls.gate.set()

    assert (order.state, calls.done) == ("COMPLETED", ["begins a", "a"])
    assert (order.step("a")["attempts"], order.row.ending) == (1, None)


def test_steps_that_hold_all_hands_of_a_worker_hold_up_nobody_else(begin: Begin, worker: ActivityWorker) -> None:
    stuck = [begin(step("a", calls.hold_on, timeout=SHORT), name=f"stuck-{number}") for number in range(2)]
    other = begin(step("a"), name="other")

    with Meanwhile(worker.run):
        wait_for(lambda: other.state == "COMPLETED", what="the other saga to be done")
        states = [each.state for each in stuck]
        calls.gate.set()

    assert states == ["RUNNING", "RUNNING"]
    assert [each.state for each in stuck] == ["COMPENSATED", "COMPENSATED"]


def test_a_worker_that_is_to_stop_does_not_wait_for_what_is_overdue(begin: Begin, worker: ActivityWorker) -> None:
    order = begin(step("a", calls.hold_on, timeout=SHORT))

    with Meanwhile(worker.run) as working:
        wait_for(lambda: order.row.ending, what="the saga to end")
        worker.stop()
        working.answer(seconds=5)

    assert (order.state, Activity.objects.get().status) == ("RUNNING", "running")


def test_an_overdue_step_that_ended_meanwhile_does_not_end_its_saga(begin: Begin) -> None:
    order = begin(step("a", timeout=SHORT))
    (leased,) = lease()
    record(leased)

    lateness.tell([leased])

    assert (order.state, order.row.ending) == ("COMPLETED", None)
