"""What the caller of `execute_saga` is told at the end."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import EngineError, SagaCancelled, SagaFailed, SagaStopped, SagaTimedOut
from engine.sagas.decisions import CANCELLED, TIMEOUT
from engine.sagas.local.news import Finish
from engine.sagas.state import SagaState
from engine.workflow_state import WorkflowState


class StepError(EngineError):
    """A step failed in another process; its error is known by its name and its text."""

    code = "step_error"
    internal = True


def finish(state: SagaState, errors: Mapping[str, BaseException]) -> Finish:
    """Give the end of a saga that is over or stuck; `errors` are those that its steps raised in this process."""
    if state.status == WorkflowState.COMPLETED:
        return Finish([entry["result"] for entry in state.steps])
    return Finish(error=_stopped(state, errors))


def _stopped(state: SagaState, errors: Mapping[str, BaseException]) -> SagaStopped:
    ending = state.ending or {}
    error = ending.get("error") or {}
    detail = error.get("detail", "")
    told: SagaStopped
    if state.status == WorkflowState.FAILED:
        stuck = state.error or {}
        extra = {"left": stuck.get("left", []), "reason": stuck.get("code")}
        told = SagaFailed(f"The saga {state.name!r} is stuck: {stuck.get('detail', '')}", extra=extra)
    elif ending.get("cause") == TIMEOUT:
        told = SagaTimedOut(f"The saga {state.name!r} did not complete within its time, and was undone.")
    elif ending.get("cause") == CANCELLED:
        told = SagaCancelled(f"The saga {state.name!r} was cancelled, and undone: {detail}")
    else:
        told = SagaFailed(
            f"The step {ending.get('step')!r} of {state.name!r} failed, and the saga was undone: {detail}"
        )
    if step := ending.get("step"):
        told.__cause__ = errors.get(step) or StepError(f"{error.get('code')}: {detail}")
    return told
