"""From an instance's row to its state: what the loop reads of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import orjson

from engine.connections import execute
from engine.execution.state import InstanceState


@dataclass(slots=True)
class Row:
    """The columns of `flow_instances` that the loop reads; JSON columns are text, `paused` is its flow's."""

    id: str
    tenant_id: str
    flow_id: str
    version_id: str
    participant_id: str
    correlation_key: str
    live_key: str
    status: str
    current_nodes: str
    context: str
    step_count: int
    entered_at: datetime
    completed_at: datetime | None
    exited_at: datetime | None
    exit_reason: str
    error: str | None
    migrated_from_version: int | None
    migrated_at: datetime | None
    sequence: int
    priority: int
    deaths: int
    log_tx: int
    paused: bool = False

    def state(self, version: int) -> InstanceState:
        """Give the state as the row tells it; `verify` proves that its events tell the same."""
        context = orjson.loads(self.context)
        return InstanceState(
            id=self.id,
            tenant_id=self.tenant_id,
            flow_id=self.flow_id,
            version_id=self.version_id,
            version=version,
            participant_id=self.participant_id,
            correlation_key=self.correlation_key,
            live_key=self.live_key,
            status=self.status,
            tokens={each["node_id"]: each for each in orjson.loads(self.current_nodes)},
            entry=context["entry"],
            accumulated=context["accumulated"],
            outcomes=context["outcomes"],
            entry_event=context["entry_event"],
            step_count=self.step_count,
            entered_at=self.entered_at,
            completed_at=self.completed_at,
            exited_at=self.exited_at,
            exit_reason=self.exit_reason,
            error=orjson.loads(self.error) if self.error else None,
            migrated_from_version=self.migrated_from_version,
            migrated_at=self.migrated_at,
            sequence=self.sequence,
        )


COLUMNS = ", ".join(f"taken.{field.name}" for field in fields(Row) if field.name != "paused")

# Locks instances by id, in order, and waits for whoever holds one: for verbs, the router and outcomes of activities.
LOCK = f"""
    SELECT {COLUMNS}, f.status = 'paused' AS paused
      FROM flow_instances taken JOIN flows f ON f.id = taken.flow_id
     WHERE taken.id = ANY(%(ids)s) ORDER BY taken.id
       FOR NO KEY UPDATE OF taken
"""


def fetch(statement: str, parameters: Any) -> list[Row]:
    """Run a statement that gives COLUMNS and `paused`."""
    return [Row(*found) for found in execute(statement, parameters).fetchall()]


def lock(ids: Iterable[str]) -> dict[str, Row]:
    """Lock instances in the order of their ids and read them; ids that are not there are left out."""
    return {row.id: row for row in fetch(LOCK, {"ids": sorted(ids)})}
