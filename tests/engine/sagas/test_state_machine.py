"""Any saga, any order of what happens: compared with a simple model of what must and must not follow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.sagas import decisions
from tests.engine.sagas.test_decisions import Told, planned

TERMINAL = ("COMPLETED", "COMPENSATED")


@st.composite
def plans(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to six steps, each after some of those before it; one of them may be a pivot."""
    count = draw(st.integers(0, 6))
    pivot = draw(st.none() | st.integers(0, 5))
    found = []
    for number in range(count):
        after = [f"s{other}" for other in range(number) if draw(st.booleans())]
        undo = "m:undo" if draw(st.integers(0, 3)) else None
        found.append(planned(f"s{number}", *after, compensation=undo, pivot=number == pivot))
    return found


class SagaMachine(RuleBasedStateMachine):
    """The model knows who runs, who was completed in which order, and what has been undone."""

    @initialize(plan=plans(), limited=st.booleans())
    def begin(self, *, plan: list[dict[str, Any]], limited: bool) -> None:
        self.plan = {each["name"]: each for each in plan}
        self.completed: list[str] = []
        self.unknown: set[str] = set()
        self.doubtful: set[str] = set()
        self.undone: list[str] = []
        self.ended_at: int | None = None
        self.told = Told(*plan, timeout=30 if limited else None)
        self.go()

    def go(self) -> None:
        seen = len(self.told.log)
        self.told.go()
        self.check(self.told.log[seen:])

    # What was decided just now, judged by the model.
    def check(self, decided: list[str]) -> None:
        for word in decided:
            kind, _, step = word.partition(":")
            if kind == "step_started":
                assert not self.is_ending or self.told.state.ending is None, "nothing begins once it ends"
                assert set(self.plan[step]["after"]) <= set(self.completed), "it begins after what it comes after"
            if kind == "step_compensation_started":
                assert not self.told.running, "nothing is undone while a step may run"
                assert step == self.next_to_undo(), "in reverse order of completion"
            if kind == "compensation_started":
                assert not self.told.running
            if kind == "saga_compensated":
                assert self.next_to_undo() is None, "everything is undone before it is over"
        if self.is_over and self.ended_at is None:
            self.ended_at = len(self.told.log)

    @property
    def status(self) -> str:
        return self.told.state.status

    @property
    def is_over(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_ending(self) -> bool:
        return self.told.state.ending is not None

    def next_to_undo(self) -> str | None:
        order = [*sorted(self.unknown, reverse=True), *reversed(self.completed)]
        left = [name for name in order if self.plan[name]["compensation"] and name not in self.undone]
        return left[0] if left else None

    def undoing(self) -> str | None:
        found = [each["name"] for each in self.told.state.steps if each["compensation"]["state"] == "running"]
        assert len(found) <= 1, "one compensation after another"
        return found[0] if found else None

    @precondition(lambda self: self.told.running)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from(sorted(self.told.running)))
        self.completed.append(step)
        self.doubtful.discard(step)
        self.told.tell("step_completed", step=step, attempt=self.told.state.step(step)["attempts"], result=step)
        self.go()

    @precondition(lambda self: self.told.running)
    @rule(data=st.data(), final=st.booleans(), unknown=st.booleans())
    def fail(self, *, data: st.DataObject, final: bool, unknown: bool) -> None:
        step = data.draw(st.sampled_from(sorted(self.told.running)))
        if unknown:
            self.doubtful.add(step)
        if final and step in self.doubtful:
            self.unknown.add(step)
        attempt = self.told.state.step(step)["attempts"]
        error = {"code": "x", "detail": "y"}
        self.told.tell("step_failed", step=step, attempt=attempt, error=error, final=final, unknown=unknown)
        self.go()

    @precondition(lambda self: self.undoing())
    @rule(succeeds=st.booleans(), final=st.booleans())
    def undo(self, *, succeeds: bool, final: bool) -> None:
        step = self.undoing()
        assert step is not None
        attempt = self.told.state.step(step)["compensation"]["attempts"]
        if succeeds:
            assert step not in self.undone, "nothing is undone twice"
            self.undone.append(step)
            self.told.tell("step_compensated", step=step, attempt=attempt, result=None)
        else:
            error = {"code": "x", "detail": "y"}
            self.told.tell("step_compensation_failed", step=step, attempt=attempt, error=error, final=final)
        self.go()

    @precondition(lambda self: not self.is_over and self.status in ("PENDING", "RUNNING") and not self.is_ending)
    @rule()
    def cancel(self) -> None:
        kind, data = decisions.cancellation("", "ada")
        self.told.tell(kind, **data)
        self.go()

    @rule(seconds=st.integers(1, 20))
    def pass_time(self, seconds: int) -> None:
        self.told.now += timedelta(seconds=seconds)
        self.go()

    @precondition(lambda self: self.status == "FAILED")
    @rule()
    def resume(self) -> None:
        code = self.told.state.error["code"] if self.told.state.error else ""
        kind, data = decisions.resumption(self.told.state, "ada")
        if code == "failed_after_pivot":
            # Forward again: what nobody knew the outcome of is done once more.
            self.doubtful |= self.unknown
            self.unknown.clear()
        self.told.tell(kind, **data)
        self.go()

    @invariant()
    def nobody_is_stranded(self) -> None:
        if hasattr(self, "told") and not self.is_over and self.status != "FAILED":
            assert self.told.running or self.undoing(), "a live saga has something that it waits for"

    @invariant()
    def what_is_over_stays_over(self) -> None:
        if hasattr(self, "told") and self.ended_at is not None:
            assert len(self.told.log) == self.ended_at

    @invariant()
    def a_failed_saga_names_what_is_left(self) -> None:
        if hasattr(self, "told") and self.status == "FAILED":
            assert self.told.state.error is not None
            assert self.told.state.error["left"]


SagaMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestSagaMachine = SagaMachine.TestCase
