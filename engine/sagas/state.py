"""
The one place that computes the state of a saga.

`apply` folds one event into a state; rows are its output, and replay and `verify` call the same function. It reads no
clock and no table; the state it is given belongs to the caller and is changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.event_store.events import Event
from engine.models import SagaRun
from engine.moments import iso
from engine.workflow_state import WorkflowState

JSON = dict[str, Any]

PENDING, RUNNING, COMPLETED = "pending", "running", "completed"
FAILED, UNKNOWN, SKIPPED = "failed", "unknown", "skipped"
OVER = SagaRun.TRANSITIONS.terminal
# Of a compensation, beside pending, running and failed.
NONE, DONE = "none", "done"


class SequenceGap(Exception):
    """An event does not follow the one before it."""


@dataclass(slots=True)
class SagaState:
    """What a saga is, as its events tell it: the columns of its row. docs/reference/sagas.md has the keys of a step."""

    id: str
    tenant_id: str = ""
    name: str = ""
    definition: str = ""
    runs_in: str = SagaRun.RunsIn.WORKERS.value
    status: str = WorkflowState.PENDING.value
    input: Any = field(default_factory=dict)
    plan: list[JSON] = field(default_factory=list)
    steps: list[JSON] = field(default_factory=list)
    ending: JSON | None = None
    error: JSON | None = None
    deadline_at: datetime | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    sequence: int = 0

    def step(self, name: str) -> JSON:
        """Give a step; KeyError for one that is not there."""
        for entry in self.steps:
            if entry["name"] == name:
                return entry
        raise KeyError(name)

    def declared(self, name: str) -> JSON:
        """Give what was declared of a step."""
        for entry in self.plan:
            if entry["name"] == name:
                return entry
        raise KeyError(name)

    @property
    def is_over(self) -> bool:
        """Whether nothing will ever happen to it again."""
        return self.status in OVER

    @property
    def results(self) -> dict[str, Any]:
        """Results of the completed steps, by name."""
        return {entry["name"]: entry["result"] for entry in self.steps if entry["state"] == COMPLETED}

    def in_undo_order(self) -> list[JSON]:
        """
        Give the steps that have to be undone, the first to be undone first.

        Last completed, first undone; a step whose outcome nobody knows counts as completed last.
        """
        unknown = [entry for entry in self.steps if entry["state"] == UNKNOWN]
        completed = [entry for entry in self.steps if entry["state"] == COMPLETED]
        return [*reversed(unknown), *sorted(completed, key=lambda entry: -int(entry["place"]))]

    def left(self) -> Iterator[str]:
        """Name the steps whose compensation is neither done nor needless, the next one first."""
        return (each["name"] for each in self.in_undo_order() if each["compensation"]["state"] not in {NONE, DONE})


def apply(state: SagaState, event: Event) -> SagaState:
    """
    Fold an event into a state.

    Raises SequenceGap, IllegalTransition or KeyError (a step that is not there); the state is spoilt then and must be
    thrown away.
    """
    if event.sequence != state.sequence + 1:
        raise SequenceGap(f"Event {event.sequence} ({event.type}) of {state.id} follows {state.sequence}.")
    _FOLDS[event.type](state, event.data, event)
    state.sequence = event.sequence
    return state


def new_step(name: str) -> JSON:
    """Give what is kept of a step that nothing has happened to."""
    return {
        "name": name,
        "state": PENDING,
        "attempts": 0,
        "result": None,
        "error": None,
        "unknown": False,
        "started_at": None,
        "completed_at": None,
        "place": None,
        "compensation": {"state": NONE, "attempts": 0, "error": None, "result": None},
    }


def _move(state: SagaState, target: WorkflowState) -> None:
    SagaRun.TRANSITIONS.check(state.status, target.value, of="saga")
    state.status = target.value


# --- life -------------------------------------------------------------------------------------------------------------


def _saga_created(state: SagaState, data: JSON, event: Event) -> None:
    for name in ("tenant_id", "name", "definition", "runs_in", "input", "plan"):
        setattr(state, name, data[name])
    state.deadline_at = datetime.fromisoformat(data["deadline_at"]) if data["deadline_at"] else None
    state.steps = [new_step(each["name"]) for each in state.plan]
    state.created_at = event.at


def _saga_started(state: SagaState, data: JSON, event: Event) -> None:
    _move(state, WorkflowState.RUNNING)
    state.started_at = event.at


def _saga_ending(state: SagaState, data: JSON, event: Event) -> None:
    state.ending = {name: data[name] for name in ("cause", "step", "error")}
    for entry in state.steps:
        if entry["state"] == PENDING:
            entry["state"] = SKIPPED


def _compensation_started(state: SagaState, data: JSON, event: Event) -> None:
    _move(state, WorkflowState.COMPENSATING)
    for name in data["order"]:
        state.step(name)["compensation"]["state"] = PENDING


def _saga_compensated(state: SagaState, data: JSON, event: Event) -> None:
    _move(state, WorkflowState.COMPENSATED)
    state.completed_at = event.at


def _saga_completed(state: SagaState, data: JSON, event: Event) -> None:
    _move(state, WorkflowState.COMPLETED)
    state.completed_at = event.at


def _saga_failed(state: SagaState, data: JSON, event: Event) -> None:
    _move(state, WorkflowState.FAILED)
    state.error = {**data["error"], "left": data["left"]}


# A saga that is stuck behind its pivot goes forward again, and its time limit no longer counts.
def _saga_resumed(state: SagaState, data: JSON, event: Event) -> None:
    target = WorkflowState(data["to"])
    _move(state, target)
    went_past_pivot = (state.error or {}).get("code") == "failed_after_pivot"
    state.error = None
    if target is WorkflowState.COMPENSATING:
        for entry in state.steps:
            if entry["compensation"]["state"] == FAILED:
                entry["compensation"]["state"] = PENDING
    elif went_past_pivot:
        state.ending = state.deadline_at = None
        for entry in state.steps:
            if entry["state"] in {FAILED, UNKNOWN, SKIPPED}:
                entry["state"] = PENDING


# A process that takes it over brings its own time limit along.
def _saga_taken_over(state: SagaState, data: JSON, event: Event) -> None:
    state.runs_in = data["to"]
    if "deadline_at" in data:
        state.deadline_at = datetime.fromisoformat(data["deadline_at"]) if data["deadline_at"] else None


# --- steps ------------------------------------------------------------------------------------------------------------


def _step_started(state: SagaState, data: JSON, event: Event) -> None:
    entry = state.step(data["step"])
    entry.update(state=RUNNING, attempts=data["attempt"], started_at=entry["started_at"] or iso(event.at))


def _step_completed(state: SagaState, data: JSON, event: Event) -> None:
    place = 1 + max((each["place"] or 0 for each in state.steps), default=0)
    state.step(data["step"]).update(
        state=COMPLETED,
        attempts=data["attempt"],
        result=data["result"],
        error=None,
        unknown=False,
        completed_at=iso(event.at),
        place=place,
    )


# An attempt that nobody knows the outcome of may have happened, whatever later attempts say. One that was taken back
# before anybody began it keeps its number: a later one has another.
def _step_failed(state: SagaState, data: JSON, event: Event) -> None:
    entry = state.step(data["step"])
    never_begun = data["attempt"] == 0
    attempts = entry["attempts"] if never_begun else data["attempt"]
    entry.update(attempts=attempts, error=data["error"], unknown=entry["unknown"] or data["unknown"])
    if data["final"]:
        entry["state"] = SKIPPED if never_begun else UNKNOWN if entry["unknown"] else FAILED


def _step_compensation_started(state: SagaState, data: JSON, event: Event) -> None:
    state.step(data["step"])["compensation"].update(state=RUNNING, attempts=data["attempt"])


def _step_compensated(state: SagaState, data: JSON, event: Event) -> None:
    compensation = state.step(data["step"])["compensation"]
    compensation.update(state=DONE, attempts=data["attempt"], result=data["result"], error=None)


def _step_compensation_failed(state: SagaState, data: JSON, event: Event) -> None:
    compensation = state.step(data["step"])["compensation"]
    compensation.update(attempts=data["attempt"], error=data["error"])
    if data["final"]:
        compensation["state"] = FAILED


_FOLDS: dict[str, Callable[[SagaState, JSON, Event], None]] = {
    "saga_created": _saga_created,
    "saga_started": _saga_started,
    "step_started": _step_started,
    "step_completed": _step_completed,
    "step_failed": _step_failed,
    "saga_ending": _saga_ending,
    "compensation_started": _compensation_started,
    "step_compensation_started": _step_compensation_started,
    "step_compensated": _step_compensated,
    "step_compensation_failed": _step_compensation_failed,
    "saga_compensated": _saga_compensated,
    "saga_completed": _saga_completed,
    "saga_failed": _saga_failed,
    "saga_resumed": _saga_resumed,
    "saga_taken_over": _saga_taken_over,
}
