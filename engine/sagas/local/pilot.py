"""
The journal's side of one saga: makes events of news, and orders of what has been committed.

It is used by the journal's thread alone. A turn works on the state in memory; nothing of it counts before the commit,
and after a failed one the state is read again and the same news are taken once more. So a piece of news that is in
the log already is passed over, and orders follow from the state, not from the events that led to it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from engine import values
from engine.errors import SagaEnding, SagaFinished, SagaTakenOver
from engine.patience import Retry
from engine.sagas.builder import retry_of
from engine.sagas.decisions import FAILURE, cancellation, decide
from engine.sagas.local import endings
from engine.sagas.local.declared import Declared
from engine.sagas.local.news import (
    Abandoned,
    Again,
    Cancel,
    Finish,
    Key,
    Look,
    News,
    NotCalled,
    Order,
    Outcome,
    Overdue,
    Pause,
    Stop,
)
from engine.sagas.local.runner import Runner, StepTimedOut
from engine.sagas.state import RUNNING, SagaState
from engine.sagas.write import Move
from engine.workflow_state import WorkflowState

JSON = dict[str, Any]

PATIENCE_S: Final = 60.0


@dataclass(eq=False, slots=True)
class Pilot:
    """
    One saga that this process carries on, as `holder`; it is `born` when it has a row that is this process's.

    `news` are handed in by any thread, under the journal's lock; `taken` are those of the turn at hand. `calls` are
    those that the loop's side makes, with their attempts, `pausing` those that wait for another. `stale` says that the
    state in memory is not to be trusted.
    """

    declared: Declared
    runner: Runner
    id: str
    holder: str
    timeout_s: float | None = None
    state: SagaState | None = None
    log_tx: int = 0
    may_call_until: float = 0.0
    born: bool = False
    stale: bool = False
    waiting: bool = False
    news: list[News] = field(default_factory=list)
    taken: list[News] = field(default_factory=list)
    calls: dict[Key, int] = field(default_factory=dict)
    pausing: dict[Key, int] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)
    stopping: bool = False
    ended: bool = False
    _answers: dict[int, Exception | None] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)
    _wall: datetime = field(default_factory=lambda: datetime.now(UTC))

    def wall(self) -> datetime:
        """Give the wall time, which runs evenly however the host's clock is set meanwhile."""
        return self._wall + timedelta(seconds=time.monotonic() - self._began)

    @property
    def deadline(self) -> datetime | None:
        """The moment at which the caller's time is up."""
        return None if self.timeout_s is None else self._wall + timedelta(seconds=self.timeout_s)

    @property
    def patient_until(self) -> float:
        """The monotonic moment until which a database that is away is waited for."""
        return self._began + (PATIENCE_S if self.timeout_s is None else self.timeout_s)

    # --- a turn -------------------------------------------------------------------------------------------------------

    def turn(self, move: Move) -> None:
        """Make events of the news, and of all that follows now."""
        self._answers.clear()
        for each in self.taken:
            self._take(each, move)
        while True:
            if move.state.ending is not None:
                self._end_pauses(move)
            following = decide(move.state, self.wall())
            if not following:
                return
            for kind, data in following:
                move.record(kind, data)

    def _take(self, news: News, move: Move) -> None:
        match news:
            case Outcome():
                self._take_outcome(news, move)
            case Again():
                self._try_again(news, move)
            case Overdue():
                self._give_up(news, move)
            case Cancel():
                self._cancel(news, move)
            case NotCalled() | Look() | Abandoned():
                """Nothing is recorded; what follows is looked at anyway."""

    def _take_outcome(self, outcome: Outcome, move: Move) -> None:
        entry = move.state.step(outcome.step)
        of = entry["compensation"] if outcome.undoing else entry
        if of["state"] != RUNNING or of["attempts"] != outcome.attempt:
            return
        data: JSON = {"step": outcome.step, "attempt": outcome.attempt}
        if outcome.error is None:
            kind = "step_compensated" if outcome.undoing else "step_completed"
            move.record(kind, data | {"result": outcome.result})
            return
        data |= {"error": values.error_of(outcome.error), "final": self._is_final(outcome, move.state)}
        if outcome.undoing:
            move.record("step_compensation_failed", data)
        else:
            self.errors[outcome.step] = outcome.error
            move.record("step_failed", data | {"unknown": outcome.unknown})

    # Nothing that failed is tried again while a saga is ending, but what undoes it is.
    def _is_final(self, outcome: Outcome, state: SagaState) -> bool:
        retry, error = self._retry(outcome.key), outcome.error
        if outcome.hopeless or error is None or not retry.is_worth_it(outcome.attempt, error):
            return True
        return state.ending is not None and not outcome.undoing

    def _try_again(self, again: Again, move: Move) -> None:
        name, undoing = again.key
        entry = move.state.step(name)
        of = entry["compensation"] if undoing else entry
        due = of["state"] == RUNNING and of["attempts"] == self.pausing.get(again.key)
        if due and (undoing or move.state.ending is None):
            kind = "step_compensation_started" if undoing else "step_started"
            move.record(kind, {"step": name, "attempt": of["attempts"] + 1})

    # A step that cannot be stopped has no more attempts: the saga ends now, and is undone when the step has ended.
    def _give_up(self, overdue: Overdue, move: Move) -> None:
        entry = move.state.step(overdue.step)
        is_last = overdue.attempt >= self._retry((overdue.step, False)).attempts
        if is_last and entry["state"] == RUNNING and move.state.ending is None:
            error = self.errors[overdue.step] = StepTimedOut(f"{overdue.step} took longer than it was given.")
            move.record("saga_ending", {"cause": FAILURE, "step": overdue.step, "error": values.error_of(error)})

    def _cancel(self, cancel: Cancel, move: Move) -> None:
        problem: Exception | None = None
        if move.state.is_over:
            problem = SagaFinished(f"The saga is {move.state.status} already.")
        elif move.state.ending is not None or move.state.status == WorkflowState.FAILED:
            problem = SagaEnding()
        else:
            move.record(*cancellation(cancel.reason, cancel.actor))
        self._answers[id(cancel)] = problem

    # A step between two attempts does not run: it is over as it failed last.
    def _end_pauses(self, move: Move) -> None:
        heard = {each.key for each in self.taken if isinstance(each, Outcome | NotCalled)}
        never = {"code": "cancelled", "detail": "It had not begun when the saga began to end."}
        for entry in move.state.steps:
            key = (entry["name"], False)
            if entry["state"] == RUNNING and (key not in self.calls or key in heard):
                data = {"step": entry["name"], "attempt": entry["attempts"], "error": entry["error"] or never}
                move.record("step_failed", data | {"final": True, "unknown": False})

    # --- after the commit ---------------------------------------------------------------------------------------------

    def committed(self, move: Move) -> list[Order]:
        """Take note that a turn is in the log; give what is to be done now."""
        self.state, self.log_tx, self.stale = move.state, move.log_tx, False
        orders: list[Order] = []
        for each in self.taken:
            match each:
                case Outcome():
                    self.calls.pop(each.key, None)
                    orders += self._pause_after(each)
                case NotCalled():
                    self.calls.pop(each.key, None)
                case Again():
                    self.pausing.pop(each.key, None)
                case Cancel():
                    answer(each, self._answers.get(id(each)))
        self.taken.clear()
        if self.state.ending is not None and not self.stopping:
            self.stopping = True
            orders.append(Stop())
        orders += self._calls_to_make(self.state)
        if self.state.is_over or self.state.status == WorkflowState.FAILED:
            orders.append(self._end(endings.finish(self.state, self.errors)))
        return orders

    def broken(self, error: BaseException) -> list[Order]:
        """Have the caller told of an error for which the saga cannot be gone on with here."""
        for each in (*self.taken, *self.news):
            if isinstance(each, Cancel):
                answer(each, SagaTakenOver() if isinstance(error, SagaTakenOver) else SagaFinished(str(error)))
        self.taken.clear()
        return [Stop(everything=True), self._end(Finish(error=error))]

    def _end(self, finish: Finish) -> Finish:
        self.ended = True
        return finish

    def _calls_to_make(self, state: SagaState) -> Iterator[Order]:
        for key, attempt in _running(state):
            if key not in self.calls and self.pausing.get(key) != attempt:
                self.calls[key] = attempt
                yield self.declared.call(state, key[0], undoing=key[1])

    def _pause_after(self, outcome: Outcome) -> Iterator[Order]:
        if self.state is not None and (outcome.key, outcome.attempt) in set(_running(self.state)):
            self.pausing[outcome.key] = outcome.attempt
            yield Pause(outcome.key, self._retry(outcome.key).pause_after(outcome.attempt))

    def _retry(self, key: Key) -> Retry:
        name, undoing = key
        return retry_of(self.declared.planned(name), compensating=undoing)


def answer(cancel: Cancel, problem: Exception | None) -> None:
    """Tell whoever cancelled what became of it."""
    if cancel.heard is None or cancel.heard.done():
        return
    if problem is None:
        cancel.heard.set_result(None)
    else:
        cancel.heard.set_exception(problem)


def _running(state: SagaState) -> Iterator[tuple[Key, int]]:
    for entry in state.steps:
        if entry["state"] == RUNNING:
            yield (entry["name"], False), entry["attempts"]
        if entry["compensation"]["state"] == RUNNING:
            yield (entry["name"], True), entry["compensation"]["attempts"]
