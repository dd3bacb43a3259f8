"""An event in memory: what happened, and where it stands in its aggregate."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

INSTANCE: Final = "instance"
SAGA: Final = "saga"

# The closed list of docs/reference/events.md.
INSTANCE_EVENTS: Final = frozenset(
    {
        "flow_started",
        "node_started",
        "wait_started",
        "wait_resolved",
        "wait_retimed",
        "handed_over",
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
        "compensation_scheduled",
        "compensation_succeeded",
        "compensation_attempt_failed",
        "compensation_completed",
        "compensation_failed",
    }
)
SAGA_EVENTS: Final = frozenset(
    {
        "saga_created",
        "saga_started",
        "step_started",
        "step_completed",
        "step_failed",
        "saga_ending",
        "compensation_started",
        "step_compensation_started",
        "step_compensated",
        "step_compensation_failed",
        "saga_compensated",
        "saga_completed",
        "saga_failed",
        "saga_resumed",
        "saga_taken_over",
    }
)


# An event that nobody has recorded yet.
NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Event:
    """
    What happened to an aggregate: `type` in the past tense, `data` JSON.

    `schema_version` is the version of the shape of `data`; 0 stands for the newest that is known.

    The rest is known once it is recorded: `sequence` counts from 1 within the aggregate, `at` is engine time, and
    (`tx`, `position`) is its place in the order of all events.
    """

    type: str
    data: dict[str, Any] = field(default_factory=dict)
    sequence: int = 0
    at: datetime = NEVER
    metadata: dict[str, Any] = field(default_factory=dict)
    schema_version: int = 0
    event_id: str = ""
    tenant_id: str = ""
    aggregate_type: str = ""
    aggregate_id: str = ""
    position: int = 0
    tx: int = 0
