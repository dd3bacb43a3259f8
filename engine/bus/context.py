"""The context of an event, around the call of its handler: tenant, correlation id, saga."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from contextvars import Context
from typing import Any

import structlog

from engine.bus.handlers import Handler
from engine.event_store.events import Event
from engine.saga_context import current_saga_id

JSON = dict[str, Any]


def context_of(event: Event) -> Context:
    """Make a context that holds what belongs to the event, and nothing of whoever published it."""
    made = Context()
    made.run(_enter, event)
    return made


def call(handler: Handler, event: Event, *, timeout_s: float) -> None:
    """Call a handler in the event's context, on this thread, to its end; an asynchronous one is stopped in time."""
    context_of(event).run(_call, handler, event, timeout_s)


def inherited(metadata: JSON) -> JSON:
    """Give the metadata of an event that is published here: of the saga and the request that it belongs to."""
    bound = structlog.contextvars.get_contextvars()
    correlation_id = bound.get("correlation_id") or bound.get("request_id")
    found = {"saga_id": current_saga_id.get(), "correlation_id": correlation_id}
    return {name: value for name, value in found.items() if value} | metadata


def _enter(event: Event) -> None:
    current_saga_id.set(event.metadata.get("saga_id"))
    said = {"tenant": event.tenant_id, "event": event.event_id, "correlation_id": event.metadata.get("correlation_id")}
    structlog.contextvars.bind_contextvars(**{name: value for name, value in said.items() if value})


def _call(handler: Handler, event: Event, timeout_s: float) -> None:
    answer = handler(event)
    if inspect.isawaitable(answer):
        asyncio.run(_finish(answer, timeout_s))


async def _finish(answer: Awaitable[Any], timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        await answer
