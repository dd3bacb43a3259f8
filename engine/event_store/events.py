"""An event in memory: what happened, and where it stands in its aggregate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

INSTANCE: Final = "instance"

# The closed list of docs/reference/events.md.
INSTANCE_EVENTS: Final = frozenset(
    {
        "flow_started",
        "node_started",
        "wait_started",
        "wait_resolved",
        "wait_retimed",
        "activity_scheduled",
        "activity_completed",
        "activity_failed",
        "node_completed",
        "node_failed",
        "token_joined",
        "goal_reached",
        "entry_replaced",
        "paused",
        "resumed",
        "retried",
        "exited",
        "completed",
        "failed",
        "migrated",
        "compensation_started",
        "compensation_completed",
        "compensation_failed",
    }
)


@dataclass(slots=True)
class Event:
    """One event; `data` is JSON, `at` engine time. `sequence` counts from 1 within the aggregate."""

    type: str
    sequence: int
    data: dict[str, Any]
    at: datetime
