"""From a saga's row to its state: locked, or found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import orjson

from engine import values
from engine.connections import execute
from engine.sagas.state import SagaState


@dataclass(slots=True)
class Row:
    """The columns of `saga_runs`; those of JSON are text. `wall` is the database's clock when it was read."""

    id: str
    tenant_id: str
    name: str
    definition: str
    runs_in: str
    status: str
    input: str
    plan: str
    steps: str
    ending: str | None
    error: str | None
    deadline_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    sequence: int
    log_tx: int
    lease_holder: str | None
    lease_until: datetime | None
    wall: datetime

    def state(self) -> SagaState:
        """Give the state as the row tells it; `verify` proves that its events tell the same."""
        return SagaState(
            id=self.id,
            tenant_id=self.tenant_id,
            name=self.name,
            definition=self.definition,
            runs_in=self.runs_in,
            status=self.status,
            input=orjson.loads(self.input),
            plan=orjson.loads(self.plan),
            steps=orjson.loads(self.steps),
            ending=orjson.loads(self.ending) if self.ending else None,
            error=orjson.loads(self.error) if self.error else None,
            deadline_at=self.deadline_at,
            created_at=self.created_at,
            started_at=self.started_at,
            completed_at=self.completed_at,
            sequence=self.sequence,
        )


COLUMNS = ", ".join(f"s.{field.name}" for field in fields(Row) if field.name != "wall") + ", clock_timestamp() AS wall"

# Locks sagas by id, in order, and waits for whoever holds one.
LOCK = f"SELECT {COLUMNS} FROM saga_runs s WHERE s.id = ANY(%s) ORDER BY s.id FOR NO KEY UPDATE OF s"

FIND = f"SELECT {COLUMNS} FROM saga_runs s WHERE s.tenant_id = %s AND s.name = %s"
LOCK_NAMED = f"{FIND} FOR NO KEY UPDATE OF s"


def fetch(statement: str, parameters: Any) -> list[Row]:
    """Run a statement that gives COLUMNS."""
    return [Row(*found) for found in execute(statement, parameters).fetchall()]


def lock(ids: Iterable[str]) -> dict[str, Row]:
    """Lock sagas in the order of their ids and read them; ids that are not there are left out."""
    return {row.id: row for row in fetch(LOCK, [sorted(set(ids))])}


def find(tenant_id: str, name: str, *, locked: bool = False) -> Row | None:
    """Read the saga of this name, if there is one; `locked` waits for whoever holds it."""
    if not isinstance(name, str) or values.storable(name, len(name)) != name:
        return None
    return next(iter(fetch(LOCK_NAMED if locked else FIND, [tenant_id, name])), None)
