"""How far each projection is behind the log, for operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from engine import clock
from engine.connections import execute

JSON = dict[str, Any]

CAP = 10_000

# The builds of these projections, each with what it has not read yet: how many places, no further than CAP, and since
# when the first of them is there.
STATUS = f"""
    SELECT c.name, c.build, c.is_live, c.status, c.tx, c.position, c.count, c.last_event_id, c.last_event_at,
           c.attempts, c.retry_at, c.error, behind.n, following.recorded_at
      FROM projection_checkpoints c
     CROSS JOIN LATERAL (SELECT count(*) AS n FROM (
           SELECT FROM stored_events e WHERE (e.tx, e.position) > (c.tx, c.position)
            ORDER BY e.tx, e.position LIMIT {CAP}) AS few) AS behind
      LEFT JOIN LATERAL (
           SELECT e.recorded_at FROM stored_events e WHERE (e.tx, e.position) > (c.tx, c.position)
            ORDER BY e.tx, e.position LIMIT 1) AS following ON true
     WHERE c.name = ANY(%s) ORDER BY c.name, c.build
"""


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """
    Where a build of a projection stands.

    `state` is running or failed; `error` says at which event it stopped and why. `lag_events` counts the places of the
    log that it has not read, up to CAP; `lag_s` is the age of the first of them, in engine time.
    """

    name: str
    build: int
    is_live: bool
    state: str
    tx: int
    position: int
    count: int
    last_event_id: str | None
    last_event_at: datetime | None
    attempts: int
    retry_at: datetime | None
    error: JSON | None
    lag_events: int
    lag_s: float


def status(names: Sequence[str]) -> list[ProjectionStatus]:
    """Tell where the builds of these projections stand."""
    now = clock.now()
    return [_status(row, now) for row in execute(STATUS, [list(names)])]


def _status(row: Sequence[Any], now: datetime) -> ProjectionStatus:
    error = orjson.loads(row[11]) if row[11] else None
    age = max(0.0, (now - row[13]).total_seconds()) if row[13] else 0.0
    return ProjectionStatus(*(*row[:11], error, row[12], age))
