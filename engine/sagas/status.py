"""A saga as its people see it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.moments import iso
from engine.sagas.state import COMPLETED, SagaState
from engine.workflow_state import WorkflowState

JSON = dict[str, Any]


def of(state: SagaState) -> JSON:
    """
    Give where a saga stands.

    `steps_completed` names the steps that were completed, in the order of their completion, also those that have been
    undone since; `left` those that are still to be undone (or done, after the pivot) by a saga that is stuck.
    """
    completed = sorted((each for each in state.steps if each["state"] == COMPLETED), key=lambda each: each["place"])
    return {
        "saga_id": state.name,
        "id": state.id,
        "state": state.status,
        "definition": state.definition,
        "runs_in": state.runs_in,
        "steps_completed": [each["name"] for each in completed],
        "steps": state.steps,
        "results": state.results,
        "input": state.input,
        "ending": state.ending,
        "error": None if state.status == WorkflowState.COMPLETED else state.error or (state.ending or {}).get("error"),
        "left": (state.error or {}).get("left", []),
        "deadline_at": _iso(state.deadline_at),
        "created_at": _iso(state.created_at),
        "started_at": _iso(state.started_at),
        "completed_at": _iso(state.completed_at),
    }


def _iso(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None
