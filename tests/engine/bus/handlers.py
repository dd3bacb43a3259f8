"""Handlers that any process can import; what they were told is kept here, or in a file when workers call them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import structlog

from engine.event_store.events import Event
from engine.saga_context import current_saga_id

TRACE = "BUS_TRACE"
FAIL = "BUS_FAIL"

told: list[tuple[str, Event]] = []
contexts: list[dict[str, Any]] = []


def note(event: Event) -> None:
    _keep("note", event)


def also(event: Event) -> None:
    _keep("also", event)


async def gently(event: Event) -> None:
    _keep("gently", event)


def fail(event: Event) -> None:
    _keep("fail", event)
    raise ValueError(f"no luck with {event.data}")


def fail_oddly(event: Event) -> None:
    _keep("fail_oddly", event)
    raise UnicodeError("no luck: \0")


def fail_at_first(event: Event) -> None:
    _keep("fail_at_first", event)
    if sum(1 for name, _ in told if name == "fail_at_first") == 1:
        raise ValueError("not yet")


def look_around(event: Event) -> None:
    contexts.append({"saga_id": current_saga_id.get(), **structlog.contextvars.get_contextvars()})
    structlog.get_logger("bus").warning("handled")


def die_once(event: Event) -> None:
    """Kill the worker in the middle of the first call."""
    _keep("die_once", event)
    mark = Path(os.environ[TRACE] + ".died")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)
    _keep("survived", event)


def names() -> list[str]:
    return [name for name, _ in told]


def data(name: str) -> list[Any]:
    return [event.data for known, event in told if known == name]


def traced(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _keep(name: str, event: Event) -> None:
    told.append((name, event))
    if path := os.environ.get(TRACE):
        line = {"handler": name, "aggregate": event.aggregate_id, "data": event.data, "event_id": event.event_id}
        with Path(path).open("a") as file:
            file.write(json.dumps(line | {"pid": os.getpid()}) + "\n")
