"""The rows that say how far each build of a projection has read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.db.models import Subquery

from engine.connections import execute
from engine.event_store import reading
from engine.event_store.events import Event
from engine.models import ProjectionCheckpoint
from engine.projections.projection import Projection
from tenants.ids import uuid7

JSON = dict[str, Any]

LONGEST_PAUSE_S: Final = 300.0
COLUMNS: Final = "id, name, build, is_live, status, tx, position, count, attempts, deaths, suspects, error"

ADD = """
    INSERT INTO projection_checkpoints (id, name, build, is_live, status, tx, position, count, attempts, updated_at)
    VALUES (%s, %s, %s, %s, 'running', %s, %s, 0, 0, clock_timestamp()) ON CONFLICT DO NOTHING
"""
KNOWN = "SELECT name FROM projection_checkpoints WHERE is_live AND name = ANY(%s)"
OF_NAMES = f"SELECT {COLUMNS} FROM projection_checkpoints WHERE name = ANY(%s) ORDER BY name, build"
# What may be read on: one that failed is left alone until its time, one whose event took its worker along too often
# until an operator decides.
MAY_GO_ON: Final = """
    (c.retry_at IS NULL OR c.retry_at <= clock_timestamp()) AND c.error -> 'deaths' IS NULL
"""
# The right to read on. Whoever finds it taken leaves it to the other.
TAKE = f"""
    SELECT {COLUMNS} FROM projection_checkpoints c
     WHERE name = %s AND build = %s AND {MAY_GO_ON}
       FOR NO KEY UPDATE SKIP LOCKED
"""
# All builds of a projection, waited for; oldest first, as everybody takes them.
LOCK = f"SELECT {COLUMNS} FROM projection_checkpoints WHERE name = %s ORDER BY build FOR NO KEY UPDATE"
MOVE = """
    UPDATE projection_checkpoints
       SET tx = %(tx)s, position = %(position)s, count = count + %(count)s, status = 'running', attempts = 0,
           retry_at = NULL, error = NULL, deaths = 0, suspects = greatest(suspects - %(places)s, 0),
           last_event_id = coalesce(%(event)s, last_event_id),
           last_event_at = coalesce(%(at)s, last_event_at), updated_at = clock_timestamp()
     WHERE id = %(id)s
"""
# Only where it still stands before the event: another worker may have got past it meanwhile.
FAIL = """
    UPDATE projection_checkpoints
       SET status = 'failed', error = %(error)s::jsonb, attempts = attempts + 1, updated_at = clock_timestamp(),
           deaths = 0,
           retry_at = clock_timestamp() + least(power(2, least(attempts, 20)), %(longest)s) * interval '1 s'
     WHERE id = %(id)s AND tx = %(tx)s AND position = %(position)s
 RETURNING attempts
"""
RETRY = """
    UPDATE projection_checkpoints
       SET retry_at = clock_timestamp(), attempts = 0, error = error - 'deaths', updated_at = clock_timestamp()
     WHERE id = %s AND status = 'failed'
"""
RESTART = """
    UPDATE projection_checkpoints
       SET tx = 0, position = 0, count = 0, status = 'running', attempts = 0, deaths = 0, suspects = 0,
           retry_at = NULL, error = NULL,
           last_event_id = NULL, last_event_at = NULL, updated_at = clock_timestamp()
     WHERE id = %s
"""
PUT = "UPDATE projection_checkpoints SET is_live = %s, updated_at = clock_timestamp() WHERE id = %s"
REMOVE = "DELETE FROM projection_checkpoints WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a build has read."""

    id: str
    name: str
    build: int
    is_live: bool
    status: str
    tx: int
    position: int
    count: int
    attempts: int
    deaths: int
    suspects: int
    error: JSON | None

    @property
    def place(self) -> tuple[int, int]:
        """The place of the last event that counts as read."""
        return self.tx, self.position

    @property
    def is_failed(self) -> bool:
        """Whether an event stopped it."""
        return self.status == "failed"


def live_build(name: str) -> Subquery:
    """
    Give the number of the build whose rows readers take.

    It is a part of their own statement, so that a switch-over in between is never seen by halves.
    """
    return Subquery(ProjectionCheckpoint.objects.filter(name=name, is_live=True).values("build")[:1])


def ensure(projections: Sequence[Projection]) -> None:
    """Give a live checkpoint to whoever has none yet, where its `starts` says."""
    known = {row[0] for row in execute(KNOWN, [[each.name for each in projections]])}
    for each in projections:
        if each.name not in known:
            place = reading.head() if each.starts == "head" else reading.START
            execute(ADD, [str(uuid7()), each.name, 1, True, *place])


def add_build(name: str, build: int) -> None:
    """Give a new build a checkpoint before the first event."""
    execute(ADD, [str(uuid7()), name, build, False, *reading.START])


def of(names: Sequence[str]) -> list[Checkpoint]:
    """Give the checkpoints of these projections, by name and build."""
    return [_checkpoint(row) for row in execute(OF_NAMES, [list(names)])]


def take(name: str, build: int) -> Checkpoint | None:
    """Lock a build to read on; None where another has it, where it rests after a failure, or where it is gone."""
    found = execute(TAKE, [name, build]).fetchone()
    return None if found is None else _checkpoint(found)


def lock(name: str) -> list[Checkpoint]:
    """Lock all builds of a projection, waiting for whoever has one."""
    return [_checkpoint(row) for row in execute(LOCK, [name])]


def move(checkpoint: Checkpoint, to: tuple[int, int], events: Sequence[Event], *, places: int = 1) -> None:
    """Count events as read, and everything up to a place, which is so many places on."""
    last = events[-1] if events else None
    execute(
        MOVE,
        {
            "id": checkpoint.id,
            "tx": to[0],
            "position": to[1],
            "count": len(events),
            "places": places,
            "event": last and last.event_id,
            "at": last and last.at,
        },
    )


def fail(checkpoint: Checkpoint, error: JSON) -> int | None:
    """
    Note that the event after the checkpoint cannot be projected; give the count of attempts, None if it has been.

    Where the error has `deaths`, it is not tried again before an operator says so.
    """
    known = {"id": checkpoint.id, "tx": checkpoint.tx, "position": checkpoint.position, "longest": LONGEST_PAUSE_S}
    found = execute(FAIL, {**known, "error": orjson.dumps(error).decode()}).fetchone()
    return None if found is None else int(found[0])


def retry(checkpoint: Checkpoint) -> None:
    """Have it tried again now."""
    execute(RETRY, [checkpoint.id])


def restart(checkpoint: Checkpoint) -> None:
    """Have it read from the first event on."""
    execute(RESTART, [checkpoint.id])


def put(checkpoint: Checkpoint, *, is_live: bool) -> None:
    """Have readers take this build, or no longer."""
    execute(PUT, [is_live, checkpoint.id])


def remove(checkpoint: Checkpoint) -> None:
    """Forget a build."""
    execute(REMOVE, [checkpoint.id])


def _checkpoint(row: Sequence[Any]) -> Checkpoint:
    return Checkpoint(*(*row[:-1], orjson.loads(row[-1]) if row[-1] else None))
