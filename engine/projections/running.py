"""
Reading on: batch by batch, the checkpoint and the read model in one transaction.

A worker may die between any two lines: what was not committed is read again by the next one, what was is behind the
checkpoint.
"""

from __future__ import annotations

import math
import time
from typing import Any

import structlog
from django.db import connection, transaction

from engine import values
from engine.conf import engine_settings
from engine.connections import execute
from engine.event_store import reading
from engine.execution.claim import Claims
from engine.projections import checkpoints
from engine.projections.checkpoints import Checkpoint
from engine.projections.projection import Projection
from engine.projections.skips import passes_by_itself

JSON = dict[str, Any]

log = structlog.get_logger(__name__)

LONGEST_DETAIL = 1_000

# The next place of the log, without what may be wrong with it.
NEXT = f"""
    SELECT tx, position, event_id, type, aggregate_type, aggregate_id, sequence FROM stored_events
     WHERE (tx, position) > (%s, %s) AND {reading.READABLE} ORDER BY tx, position LIMIT 1
"""


class WorkersDied(Exception):
    """An event takes the process along that projects it."""


class Search:
    """
    How many places to read next: a full batch, or less while the event that made one fail is searched by halves.

    Of a batch that failed, the events before the culprit are projected on the way, each once.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._suspects = 0
        self._tried = batch
        self.place = reading.START

    def try_next(self, checkpoint: Checkpoint) -> int:
        """Give the number of places to read next. What stopped once, or may be deadly, is tried alone."""
        self.place = checkpoint.place
        if checkpoint.is_failed or checkpoint.suspects:
            self._suspects = 1
        self._tried = max(1, self._suspects // 2) if self._suspects else self._batch
        return self._tried

    def succeed(self) -> None:
        """Whoever was among them is innocent."""
        self._suspects = max(0, self._suspects - self._tried)

    def fail(self) -> bool:
        """One of them is the culprit; tell whether there is only one."""
        self._suspects = self._tried
        return self._tried == 1


def catch_up(projection: Projection, build: int, *, until: float = math.inf) -> int:
    """
    Project whatever can be read, or until a moment of the monotonic clock; give how many events it were.

    Ends at once where another worker has the build in hand, and where an event stops it.
    """
    claims = Claims("projection")
    try:
        return _catch_up(projection, build, claims, until)
    finally:
        claims.withdraw()


def _catch_up(projection: Projection, build: int, claims: Claims, until: float) -> int:
    counted, search = 0, Search(projection.batch)
    while True:
        try:
            went = _step(projection, build, search, claims)
        except Exception as error:
            # Without a connection nothing is known about the events.
            if not connection.is_usable():
                raise
            if search.fail() and not _stop(projection, build, search.place, error):
                return counted
            continue
        if went is None:
            return counted
        search.succeed()
        counted += went
        if time.monotonic() >= until:
            return counted


def advance(
    projection: Projection, checkpoint: Checkpoint, limit: int, claims: Claims | None = None
) -> tuple[tuple[int, int], int] | None:
    """
    Project the next places of a build whose row is locked, in the caller's transaction; give the place and the count.

    None where nothing more can be read. Before the first of them is tried, the claim says who is at it.
    """
    stretch = reading.read_stretch(
        checkpoint.place, types=projection.types, aggregate_types=projection.aggregate_types, limit=limit
    )
    if stretch is None:
        return None
    if stretch.events:
        if claims is not None and not claims.ids:
            claims.announce([checkpoint.id])
        projection.of(checkpoint.build).project(stretch.events)
    checkpoints.move(checkpoint, stretch.ends, stretch.events, places=limit)
    return stretch.ends, len(stretch.events)


def _step(projection: Projection, build: int, search: Search, claims: Claims) -> int | None:
    with transaction.atomic():
        checkpoint = checkpoints.take(projection.name, build)
        if checkpoint is None:
            return None
        limit = search.try_next(checkpoint)
        if checkpoint.deaths >= engine_settings().max_deaths:
            raise WorkersDied(f"{checkpoint.deaths} worker processes died in a row at this event.")
        went = advance(projection, checkpoint, limit, claims)
        return None if went is None else went[1]


# Whether reading may go on: the event was passed over before, or is none of those to be read any more.
def _stop(projection: Projection, build: int, place: tuple[int, int], error: Exception) -> bool:
    with transaction.atomic():
        checkpoint = checkpoints.take(projection.name, build)
        if checkpoint is None:
            return False
        # Another worker may have got past it meanwhile; what comes next is innocent then.
        if checkpoint.place != place:
            return True
        found = execute(NEXT, place).fetchone()
        if found is None:
            return False
        noted = _describe(found, error)
        if passes_by_itself(checkpoint, noted):
            return True
        if isinstance(error, WorkersDied):
            noted["deaths"] = checkpoint.deaths
        attempts = checkpoints.fail(checkpoint, noted)
    log.error("projection.stopped", projection=projection.name, build=build, attempts=attempts, exc_info=error, **noted)
    return False


def _describe(event: Any, error: Exception) -> JSON:
    names = ("tx", "position", "event_id", "type", "aggregate_type", "aggregate_id", "sequence")
    kind = type(error)
    code, detail = f"{kind.__module__}.{kind.__qualname__}", values.storable(f"{error}", LONGEST_DETAIL)
    return {**dict(zip(names, event, strict=True)), "code": code, "detail": detail}
