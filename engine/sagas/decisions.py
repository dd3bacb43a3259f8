"""What follows from where a saga stands: pure, and the same for workers and for a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from engine.sagas.state import COMPLETED, FAILED, NONE, PENDING, RUNNING, UNKNOWN, SagaState
from engine.workflow_state import WorkflowState

JSON = dict[str, Any]
Decision = tuple[str, JSON]

TIMEOUT, FAILURE, CANCELLED = "timeout", "failure", "cancelled"


def decide(state: SagaState, now: datetime) -> list[Decision]:
    """
    Give the events that follow right now, as (type, data); none while there is something to wait for.

    Fold them in and ask again until there is none. `now` is wall time, which the saga's deadline is in. A
    `step_started` or `step_compensation_started` asks the caller to call it, a `saga_ending` to stop what can be
    stopped; attempts that follow a failed one are the caller's business until the failure is final.
    """
    match state.status:
        case WorkflowState.PENDING:
            if state.ending is not None:
                return [_compensation(state)]
            return [_timeout(state)] if _is_late(state, now) else [("saga_started", {})]
        case WorkflowState.RUNNING:
            return _forward(state, now) if state.ending is None else _end(state)
        case WorkflowState.COMPENSATING:
            return _backward(state)
    return []


def settle(state: SagaState, now: datetime) -> Iterator[Decision]:
    """Give decision after decision; the caller folds each in before it asks for the next."""
    while decisions := decide(state, now):
        yield from decisions


def cancellation(reason: str, actor: str) -> Decision:
    """Give the event by which somebody ends a saga that goes forward."""
    error = {"code": CANCELLED, "detail": reason or "The saga was cancelled.", "actor": actor}
    return "saga_ending", {"cause": CANCELLED, "step": None, "error": error}


def resumption(state: SagaState, actor: str) -> Decision:
    """Give the event by which a saga that is stuck goes on."""
    undoing = any(entry["compensation"]["state"] != NONE for entry in state.steps)
    to = WorkflowState.COMPENSATING if undoing else WorkflowState.RUNNING
    return "saga_resumed", {"to": to.value, "actor": actor}


def failure(state: SagaState, code: str, detail: str) -> list[Decision]:
    """Give the events by which a saga gets stuck, wherever it stands; what is left is what would have to be undone."""
    undoing = any(entry["compensation"]["state"] != NONE for entry in state.steps)
    left = list(state.left()) if undoing else [entry["name"] for entry in state.in_undo_order()]
    begun: list[Decision] = [("saga_started", {})] if state.status == WorkflowState.PENDING else []
    return [*begun, _failed(code, detail, left)]


def _forward(state: SagaState, now: datetime) -> list[Decision]:
    for entry in state.steps:
        if entry["state"] in {FAILED, UNKNOWN}:
            error = entry["error"] or {"code": "error", "detail": "The step failed."}
            return [("saga_ending", {"cause": FAILURE, "step": entry["name"], "error": error})]
    completed = {entry["name"] for entry in state.steps if entry["state"] == COMPLETED}
    if len(completed) == len(state.steps):
        return [("saga_completed", {})]
    if _is_late(state, now):
        return [_timeout(state)]
    return [
        ("step_started", {"step": entry["name"], "attempt": entry["attempts"] + 1})
        for entry, declared in zip(state.steps, state.plan, strict=True)
        if entry["state"] == PENDING and completed.issuperset(declared["after"])
    ]


# Nothing is undone, and nobody is told that it is over, while a step may still run.
def _end(state: SagaState) -> list[Decision]:
    if any(entry["state"] == RUNNING for entry in state.steps):
        return []
    if _is_past_pivot(state):
        if all(entry["state"] == COMPLETED for entry in state.steps):
            return [("saga_completed", {})]
        ending = state.ending or {}
        reason = (ending.get("error") or {}).get("detail", "")
        left = [entry["name"] for entry in state.steps if entry["state"] != COMPLETED]
        return [_failed("failed_after_pivot", f"There is no way back after the pivot. {reason}".strip(), left)]
    return [_compensation(state)]


def _backward(state: SagaState) -> list[Decision]:
    undoing = [entry for entry in state.in_undo_order() if entry["compensation"]["state"] != NONE]
    if any(entry["compensation"]["state"] == RUNNING for entry in undoing):
        return []
    for entry in undoing:
        if entry["compensation"]["state"] == FAILED:
            error = entry["compensation"]["error"] or {}
            detail = f"The compensation of {entry['name']} stays failing: {error.get('detail', '')}"
            return failure(state, "compensation_failed", detail)
    for entry in undoing:
        if entry["compensation"]["state"] == PENDING:
            attempt = entry["compensation"]["attempts"] + 1
            return [("step_compensation_started", {"step": entry["name"], "attempt": attempt})]
    return [("saga_compensated", {})]


def _compensation(state: SagaState) -> Decision:
    callable_ = {each["name"] for each in state.plan if each["compensation"] is not None}
    order = [entry["name"] for entry in state.in_undo_order() if entry["name"] in callable_]
    return "compensation_started", {"order": order}


def _timeout(state: SagaState) -> Decision:
    error = {"code": TIMEOUT, "detail": "The saga did not complete within its time."}
    return "saga_ending", {"cause": TIMEOUT, "step": None, "error": error}


def _is_late(state: SagaState, now: datetime) -> bool:
    return state.deadline_at is not None and now >= state.deadline_at


# A pivot that may have happened and cannot be undone is no way back either.
def _is_past_pivot(state: SagaState) -> bool:
    return any(
        declared["pivot"]
        and (entry["state"] == COMPLETED or (entry["state"] == UNKNOWN and declared["compensation"] is None))
        for entry, declared in zip(state.steps, state.plan, strict=True)
    )


def _failed(code: str, detail: str, left: list[str]) -> Decision:
    return "saga_failed", {"error": {"code": code, "detail": detail[:2000]}, "left": left}
