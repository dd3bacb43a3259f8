"""Steps and compensations as activities: what is written for a worker to call, and how it calls it."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import Any, Final

from engine import callables, values
from engine.leases import Lease
from engine.nodes.outcomes import Completed, Failed, Outcome
from engine.patience import is_final
from engine.saga_context import CurrentStep, current_saga_id, current_step
from engine.sagas.builder import retry_of
from engine.sagas.state import SagaState
from engine.sagas.write import ActivityRow

JSON = dict[str, Any]

STEP: Final = "saga_step"
COMPENSATION: Final = "saga_compensation"

# A step that says nothing of its time.
TIMEOUT_S: Final = 300.0
# Failures after which nobody knows whether it happened.
UNKNOWN_CODES: Final = frozenset({"timeout", "worker_lost", "quarantined", "invalid_result"})


def of_step(state: SagaState, data: JSON) -> ActivityRow:
    """Give the activity that does a step which has just been started."""
    return _row(state, data, STEP)


def of_compensation(state: SagaState, data: JSON) -> ActivityRow:
    """Give the activity that undoes a step."""
    return _row(state, data, COMPENSATION)


def key_of(saga_id: str, step: str, kind: str) -> str:
    """Give the idempotency key of a step or of its compensation: the same over all attempts, whoever makes them."""
    return f"{saga_id}:{step}:compensate" if kind == COMPENSATION else f"{saga_id}:{step}"


def value_of(result: JSON | None) -> Any:
    """Give what a call returned, as the row of its activity keeps it; an operator's own word may stand in for it."""
    given = (result or {}).get("result")
    return given["value"] if isinstance(given, dict) and given.keys() == {"value"} else given


def call(lease: Lease) -> Outcome:
    """Call what the activity names, with the saga and the step in the context; its own trouble is its own failure."""
    try:
        function = callables.find(lease.target)
    except callables.NotFound as problem:
        return Failed(str(problem), code="not_importable", retryable=False)
    return copy_context().run(_call, function, lease)


# An activity that follows one which is over (after a resumption) has a row key of its own; the key that its callable
# is given stays the same.
def _row(state: SagaState, data: JSON, kind: str) -> ActivityRow:
    step, before = data["step"], data["attempt"] - 1
    declared, entry = state.declared(step), state.step(step)
    undoes = kind == COMPENSATION
    given = {"saga": state.name, "args": declared["args"], "kwargs": declared["kwargs"], "results": state.results}
    if undoes:
        given["result"] = entry["result"]
    key = key_of(state.id, step, kind)
    return ActivityRow(
        step=step,
        kind=kind,
        target=declared["compensation" if undoes else "action"],
        input=given,
        key=f"{key}@{data['attempt']}" if before else key,
        policy=_policy(declared, undoes=undoes, before=before),
        attempts=before,
    )


def _policy(declared: JSON, *, undoes: bool, before: int) -> JSON:
    retry = retry_of(declared, compensating=undoes)
    return {
        **retry.as_json(),
        "attempts": before + retry.attempts,
        "timeout_s": declared["timeout_s"] or TIMEOUT_S,
        "on_unknown": "retry",
        # Nothing runs beside a step, however long it takes: neither another attempt nor what undoes it.
        "awaited": not undoes,
        # A step that stays failing ends its saga; a compensation that does is parked for an operator.
        "explicit": not undoes,
    }


def _call(function: callables.Call, lease: Lease) -> Outcome:
    given = lease.input
    current_saga_id.set(given["saga"])
    current_step.set(
        CurrentStep(
            saga_id=given["saga"],
            step=lease.node_id,
            attempt=lease.attempt,
            idempotency_key=key_of(lease.saga_id or "", lease.node_id, lease.kind),
            results=given["results"],
            result=given.get("result"),
        )
    )
    seconds = lease.policy["timeout_s"]
    try:
        returned = _returned(function, given, seconds)
        return Completed({"value": values.kept(returned)})
    except _TookTooLong:
        return Failed(f"No answer within {seconds:g} s.", code="timeout", unknown=True)
    except values.NotJson as problem:
        return Failed(str(problem), code="invalid_result", retryable=False, unknown=True)
    except BaseException as error:  # noqa: BLE001 - whatever it raises is this step's failure; the thread lives on
        return _failed(error, lease.policy["non_retryable"])


class _TookTooLong(Exception):
    """An asynchronous callable was stopped at the end of its time."""


def _returned(function: callables.Call, given: JSON, seconds: float) -> Any:
    if not callables.is_async(function):
        return function(*given["args"], **given["kwargs"])

    async def awaited() -> Any:
        try:
            async with asyncio.timeout(seconds) as limit:
                return await function(*given["args"], **given["kwargs"])
        except TimeoutError:
            if limit.expired():
                raise _TookTooLong from None
            raise

    return asyncio.run(awaited())


def _failed(error: BaseException, final: list[str]) -> Failed:
    told = values.error_of(error)
    retryable = not is_final(error, final)
    return Failed(told["detail"], code=told["code"], retryable=retryable)
