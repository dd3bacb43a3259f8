"""What follows from where a saga stands, without a database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.event_store.events import SAGA_EVENTS, Event
from engine.sagas import decisions, state
from engine.sagas.state import SagaState, SequenceGap, apply
from flows.errors import IllegalTransition
from tests.engine.conftest import NOON


def planned(name: str, *after: str, compensation: str | None = "m:undo", pivot: bool = False) -> dict[str, Any]:
    return {"name": name, "after": list(after), "action": "m:do", "compensation": compensation, "pivot": pivot}


class Told:
    """A saga that is told what happens, and does what follows."""

    def __init__(self, *plan: dict[str, Any], timeout: float | None = None) -> None:
        self.state = SagaState(id="1")
        self.now = NOON
        self.log: list[str] = []
        deadline = (NOON + timedelta(seconds=timeout)).isoformat() if timeout else None
        self.tell(
            "saga_created", tenant_id="t", name="s", definition="", runs_in="workers", input={}, plan=list(plan),
            deadline_at=deadline,
        )  # fmt: skip

    def tell(self, kind: str, **data: Any) -> Told:
        apply(self.state, Event(kind, data, self.state.sequence + 1, self.now))
        self.log.append(f"{kind}:{data['step']}" if data.get("step") else kind)
        return self

    def go(self) -> Told:
        for kind, data in decisions.settle(self.state, self.now):
            self.tell(kind, **data)
        return self

    def done(self, step: str) -> Told:
        return self.tell("step_completed", step=step, attempt=1, result=step).go()

    def broken(self, step: str, *, final: bool = True, unknown: bool = False, attempt: int = 1) -> Told:
        error = {"code": "x", "detail": "y"}
        self.tell("step_failed", step=step, attempt=attempt, error=error, final=final, unknown=unknown)
        return self.go()

    def undone(self, step: str) -> Told:
        return self.tell("step_compensated", step=step, attempt=1, result=None).go()

    def not_undone(self, step: str) -> Told:
        error = {"code": "x", "detail": "y"}
        return self.tell("step_compensation_failed", step=step, attempt=1, error=error, final=True).go()

    def cancelled(self) -> Told:
        kind, data = decisions.cancellation("", "ada")
        return self.tell(kind, **data).go()

    def resumed(self) -> Told:
        kind, data = decisions.resumption(self.state, "ada")
        return self.tell(kind, **data).go()

    @property
    def running(self) -> set[str]:
        return {each["name"] for each in self.state.steps if each["state"] == "running"}


def test_the_list_of_events_is_closed() -> None:
    assert state._FOLDS.keys() == SAGA_EVENTS


def test_an_event_that_does_not_follow_is_refused() -> None:
    told = Told(planned("a"))

    with pytest.raises(SequenceGap):
        apply(told.state, Event("saga_started", {}, 3, NOON))


def test_an_arrow_that_is_not_in_the_table_is_refused() -> None:
    told = Told(planned("a")).go().done("a")

    with pytest.raises(IllegalTransition):
        told.tell("saga_ending", cause="cancelled", step=None, error=None).tell("compensation_started", order=[])


def test_a_saga_without_steps_is_completed_at_once() -> None:
    assert Told().go().state.status == "COMPLETED"


def test_compensation_waits_for_every_step_that_may_still_run() -> None:
    told = Told(planned("a"), planned("b"), planned("c")).go().done("a").broken("b")

    assert told.running == {"c"}
    assert told.state.status == "RUNNING"
    assert told.state.ending is not None

    told.done("c")

    assert told.state.status == "COMPENSATING"
    assert told.log[-1] == "step_compensation_started:c"


def test_an_unknown_step_is_undone_first_and_a_failed_one_is_not() -> None:
    told = Told(planned("a"), planned("b"), planned("c")).go().done("c").broken("b").broken("a", unknown=True)

    assert [each["name"] for each in told.state.in_undo_order()] == ["a", "c"]
    told.undone("a").undone("c")
    assert told.state.status == "COMPENSATED"


def test_an_attempt_nobody_knows_the_outcome_of_is_remembered_over_later_failures() -> None:
    told = Told(planned("a")).go().broken("a", final=False, unknown=True).broken("a", attempt=2)

    assert told.state.step("a")["state"] == "unknown"
    assert told.log[-1] == "step_compensation_started:a"


def test_a_step_that_succeeds_after_an_unknown_attempt_is_completed() -> None:
    told = Told(planned("a")).go().broken("a", final=False, unknown=True).done("a")

    assert told.state.status == "COMPLETED"
    assert told.state.step("a")["unknown"] is False


def test_a_step_without_a_compensation_is_passed_over() -> None:
    told = Told(planned("a", compensation=None), planned("b", "a"), planned("c", "b")).go().done("a").done("b")

    told.broken("c")

    assert told.log[-2:] == ["compensation_started", "step_compensation_started:b"]
    assert told.undone("b").state.status == "COMPENSATED"


def test_cancelled_before_it_began_it_is_compensated_with_nothing_to_undo() -> None:
    told = Told(planned("a")).cancelled()

    assert told.log == ["saga_created", "saga_ending", "compensation_started", "saga_compensated"]
    assert told.state.step("a")["state"] == "skipped"


def test_past_its_deadline_it_ends_and_a_completed_one_does_not() -> None:
    late = Told(planned("a"), timeout=5).go()
    late.now += timedelta(seconds=5)
    assert late.go().state.ending == {
        "cause": "timeout",
        "step": None,
        "error": {"code": "timeout", "detail": "The saga did not complete within its time."},
    }

    in_time = Told(planned("a"), timeout=5).go()
    in_time.now += timedelta(seconds=5)
    assert in_time.done("a").state.status == "COMPLETED"


def test_after_a_completed_pivot_there_is_no_way_back_and_a_resumption_goes_forward() -> None:
    told = Told(planned("a"), planned("p", "a", pivot=True), planned("z", "p"), timeout=60).go().done("a").done("p")

    told.broken("z")
    assert told.state.status == "FAILED"
    assert told.state.error is not None
    assert (told.state.error["code"], told.state.error["left"]) == ("failed_after_pivot", ["z"])

    told.now += timedelta(seconds=90)
    assert told.resumed().running == {"z"}
    assert told.state.step("z")["attempts"] == 2
    assert told.done("z").state.status == "COMPLETED"


def test_a_pivot_that_may_have_happened_and_cannot_be_undone_is_no_way_back() -> None:
    told = Told(planned("a"), planned("p", "a", pivot=True, compensation=None)).go().done("a")

    told.broken("p", unknown=True)

    assert told.state.status == "FAILED"


def test_a_saga_that_is_cancelled_during_its_last_step_a_pivot_is_completed() -> None:
    told = Told(planned("p", pivot=True)).go().cancelled().done("p")

    assert told.state.status == "COMPLETED"


def test_before_its_pivot_a_saga_is_undone() -> None:
    told = Told(planned("a"), planned("p", "a", pivot=True)).go().done("a").broken("p").undone("a")

    assert told.state.status == "COMPENSATED"


def test_a_compensation_that_stays_failing_leaves_a_list_and_resuming_goes_on_with_it() -> None:
    told = Told(planned("a"), planned("b", "a"), planned("c", "b")).go().done("a").done("b").broken("c")

    told.not_undone("b")
    assert told.state.status == "FAILED"
    assert told.state.error is not None
    assert (told.state.error["code"], told.state.error["left"]) == ("compensation_failed", ["b", "a"])

    told.resumed()
    assert told.state.status == "COMPENSATING"
    assert told.state.step("b")["compensation"]["attempts"] == 2
    assert told.undone("b").undone("a").state.status == "COMPENSATED"


def test_the_fold_of_a_takeover_changes_who_carries_it_on_and_nothing_else() -> None:
    told = Told(planned("a")).go()

    told.tell("saga_taken_over", **{"from": "process", "to": "workers"})

    assert told.state.runs_in == "workers"
    assert told.running == {"a"}


def test_a_failed_attempt_that_is_not_the_last_leaves_the_step_running() -> None:
    told = Told(planned("a")).go().broken("a", final=False)

    assert told.running == {"a"}
    assert told.state.ending is None
    assert told.state.step("a")["error"] == {"code": "x", "detail": "y"}
