"""
The one door for time.

Engine time rests on PostgreSQL's clock plus this process's monotonic one, so that a host whose clock jumps wakes nobody
early; one database row
anchors it, so that every process agrees, also at speed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

from engine.conf import engine_settings

# A process looks at the anchor again after so many seconds: often where it may move, rarely where it never does.
RESYNC_S = {True: 60.0, False: 1.0}

QUICK_S = 0.002
MORE_LOOKS = 4

MAKE_ANCHOR = """
    INSERT INTO clock_anchor (id, real_at, engine_at, speed, seen_engine_at)
    VALUES (1, clock_timestamp(), clock_timestamp(), %s, clock_timestamp())
    ON CONFLICT (id) DO NOTHING
"""

# The first process that comes with another speed moves the anchor; the others find it moved. Engine time goes on where
# it stands.
CHANGE_SPEED = """
    UPDATE clock_anchor
       SET engine_at = engine_at + (clock_timestamp() - real_at) * speed, real_at = clock_timestamp(), speed = %(speed)s
     WHERE id = 1 AND speed <> %(speed)s
"""

READ_ANCHOR = "SELECT clock_timestamp(), real_at, engine_at, speed FROM clock_anchor WHERE id = 1"

# What a system at speed has seen is noted, so that the time it was switched off does not count; what it recorded after
# the last note counts too.
NOTE_SEEN = "UPDATE clock_anchor SET seen_engine_at = %s WHERE id = 1 AND speed <> 1"
GO_ON_FROM_SEEN = """
    UPDATE clock_anchor
       SET engine_at = greatest(seen_engine_at,
                                (SELECT recorded_at FROM stored_events ORDER BY position DESC LIMIT 1),
                                (SELECT received_at FROM inbound_events ORDER BY id DESC LIMIT 1)),
           real_at = clock_timestamp()
     WHERE id = 1 AND speed <> 1
"""


@dataclass(slots=True)
class _Reading:
    """The anchor as read at a monotonic moment."""

    taken: float
    engine_at: datetime
    speed: float


class _Clock:
    """One process's view of engine time; never goes back."""

    def __init__(self) -> None:
        self.reading: _Reading | None = None
        self.latest = datetime.min.replace(tzinfo=UTC)
        self.frozen: datetime | None = None

    def now(self) -> datetime:
        """Give the present engine time."""
        if self.frozen is not None:
            return self.frozen
        reading = self.reading
        if reading is None or time.monotonic() - reading.taken > RESYNC_S[reading.speed == 1.0]:
            reading = self.reading = _read_anchor()
        elapsed = time.monotonic() - reading.taken
        self.latest = max(self.latest, reading.engine_at + timedelta(seconds=elapsed * reading.speed))
        return self.latest


_clock = _Clock()


def now() -> datetime:
    """Give the present engine time, in UTC."""
    return _clock.now()


def speed() -> float:
    """Tell how many engine seconds pass in one real second."""
    if _clock.frozen is not None:
        return 1.0
    now()
    return _clock.reading.speed if _clock.reading else 1.0


def real_seconds_until(moment: datetime) -> float:
    """Tell how long a real clock takes until engine time reaches the moment; infinite while it stands still."""
    pace = speed()
    ahead = (moment - now()).total_seconds()
    if ahead <= 0:
        return 0.0
    return ahead / pace if pace > 0 else float("inf")


def resync() -> None:
    """Look at the anchor again before the next answer."""
    _clock.reading = None


def note_seen() -> None:
    """Remember how far a system at speed has come."""
    with connection.cursor() as cursor:
        cursor.execute(NOTE_SEEN, [now()])


def go_on_from_seen() -> None:
    """Start where the last run of a system at speed left off; at speed 1 the time it was off counts."""
    with connection.cursor() as cursor:
        cursor.execute(GO_ON_FROM_SEEN)
    resync()
    now()


@contextmanager
def frozen(at: datetime) -> Iterator[_Clock]:
    """Stand this process's clock still, for tests: set `.frozen` to move it."""
    before, _clock.frozen = _clock.frozen, at
    try:
        yield _clock
    finally:
        _clock.frozen = before


def _read_anchor() -> _Reading:
    wanted = engine_settings().clock_speed
    with connection.cursor() as cursor:
        trip, taken, row = _ask(cursor)
        if row is None:
            cursor.execute(MAKE_ANCHOR, [wanted or 1.0])
        elif wanted is not None and row[3] != wanted:
            cursor.execute(CHANGE_SPEED, {"speed": wanted})
        if row is None or (wanted is not None and row[3] != wanted):
            trip, taken, row = _ask(cursor)
        # The answer of a busy moment is late, and two processes would differ by that: the quickest of a few counts.
        for _ in range(MORE_LOOKS if trip > QUICK_S else 0):
            trip, taken, row = min((trip, taken, row), _ask(cursor), key=itemgetter(0))
    real_now, real_at, engine_at, pace = row
    return _Reading(taken, engine_at + (real_now - real_at) * pace, pace)


# The round trip, and the moment in its middle, where the server's clock was read.
def _ask(cursor: CursorWrapper) -> tuple[float, float, Any]:
    began = time.monotonic()
    cursor.execute(READ_ANCHOR)
    row = cursor.fetchone()
    trip = time.monotonic() - began
    return trip, began + trip / 2, row
