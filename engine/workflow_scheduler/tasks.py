"""Tasks: functions that are called later, as activities."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from typing import Any, Final

from engine import activity_handlers, callables, values
from engine.leases import Lease
from engine.nodes.outcomes import Completed, Failed, Outcome

JSON = dict[str, Any]

KIND: Final = "task"

# The same over all attempts of a scheduled call: hand it to whoever is called.
current_task_key: Final[ContextVar[str | None]] = ContextVar("current_task_key", default=None)


def connect() -> None:
    """Have activity workers do tasks; may be called twice."""
    activity_handlers.register(KIND, call)


def policy_of(payload: JSON) -> JSON:
    """Give the policy that a task's activity is recorded with: what stays failing is parked."""
    return {**payload["retry"], "timeout_s": payload["timeout_s"], "on_unknown": "retry", "explicit": False}


def call(lease: Lease) -> Outcome:
    """Call what the activity names; what it raises is its own failure."""
    try:
        function = callables.find(lease.target)
    except callables.NotFound as problem:
        return Failed(str(problem), code="not_importable", retryable=False)
    try:
        return Completed({"value": values.kept(copy_context().run(_called, function, lease))})
    except values.NotJson as problem:
        return Failed(str(problem), code="invalid_result", retryable=False)


def _called(function: callables.Call, lease: Lease) -> Any:
    current_task_key.set(lease.idempotency_key)
    args, kwargs = lease.input["args"], lease.input["kwargs"]
    if not callables.is_async(function):
        return function(*args, **kwargs)

    async def awaited() -> Any:
        async with asyncio.timeout(lease.policy["timeout_s"]):
            return await function(*args, **kwargs)

    return asyncio.run(awaited())
