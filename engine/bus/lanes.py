"""
Lanes: one aggregate's events reach one handler one after the other.

Rows of a lane are born held; whoever has written them, or has recorded the end of the lane's head, frees the next: the
head is the unfinished row with the lowest id, and the only one that is not held. A lane is locked for that moment only,
in a short transaction: a caller's long one holds up nobody. If a process dies between its commit and the freeing, the
sweep frees the lane.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.db import transaction

from engine import bells
from engine.activity_owners import News
from engine.bells import Bell
from engine.connections import execute

JSON = dict[str, Any]

# So many locks are taken at once; the lock table has an end.
MOST_AT_ONCE: Final = 500
LANES_PER_SWEEP: Final = 1000
ENDED: Final = frozenset(("completed", "parked", "failed", "cancelled"))

# Locks lanes in one order for all.
LOCK = """
    SELECT pg_advisory_xact_lock(key)
      FROM (SELECT DISTINCT hashtextextended('lane:' || lane, 0) AS key FROM unnest(%s::text[]) AS given(lane)
             ORDER BY 1) AS keys
"""

# Puts new rows behind all that are in their lanes already: of two writers at the same moment the one with the lower
# ids may come second. The places of what is not moved are right as they are.
LINE_UP = """
    WITH mine AS MATERIALIZED (
        SELECT id, lane, row_number() OVER (PARTITION BY lane ORDER BY id) AS place FROM activities
         WHERE id = ANY(%(ids)s::uuid[]) AND held AND status = 'pending'
    ), crowded AS MATERIALIZED (
        SELECT first.lane, ('x' || left(replace(last.id::text, '-', ''), 12))::bit(48)::bigint AS last_ms
          FROM mine AS first CROSS JOIN LATERAL (
            SELECT a.id FROM activities a
             WHERE a.lane = first.lane AND a.lane <> '' AND a.status IN ('pending', 'running')
             ORDER BY a.id DESC LIMIT 1
          ) AS last
         WHERE first.place = 1
           AND EXISTS (SELECT 1 FROM activities a
                        WHERE a.lane = first.lane AND a.lane <> '' AND a.status IN ('pending', 'running')
                          AND a.id > first.id AND a.id <> ALL(%(ids)s::uuid[]))
    ), moved AS MATERIALIZED (
        SELECT mine.id, lpad(to_hex(crowded.last_ms + 1 + mine.place / 4096), 12, '0')
                        || '7' || lpad(to_hex(mine.place %% 4096), 3, '0')
                        || right(replace(mine.id::text, '-', ''), 16) AS new_id
          FROM mine JOIN crowded USING (lane)
    )
    UPDATE activities a SET id = moved.new_id::uuid FROM moved WHERE a.id = moved.id
"""

# Frees the first unfinished activity of each lane; it looks after the lane is locked, with a snapshot of its own.
FREE = """
    WITH heads AS MATERIALIZED (
        SELECT head.id FROM unnest(%s::text[]) AS given(lane) CROSS JOIN LATERAL (
            SELECT a.id, a.held FROM activities a
             WHERE a.lane = given.lane AND a.lane <> '' AND a.status IN ('pending', 'running')
             ORDER BY a.id LIMIT 1
        ) AS head
         WHERE head.held
    )
    UPDATE activities a SET held = false FROM heads WHERE a.id = heads.id AND a.held AND a.status = 'pending'
 RETURNING a.id
"""

# Those of them in which nothing at all is free: a writer may be about to line up what it has just committed.
STRANDED = """
    SELECT given.lane FROM unnest(%s::text[]) AS given(lane)
     WHERE NOT EXISTS (SELECT 1 FROM activities a
                        WHERE a.lane = given.lane AND a.lane <> '' AND a.status IN ('pending', 'running')
                          AND NOT a.held)
"""

# Hops from lane to lane on the index, and tells whether the first unfinished activity of each is held.
LOOK = """
    WITH RECURSIVE lanes AS (
        (SELECT lane FROM activities
          WHERE lane > %(after)s AND lane <> '' AND status IN ('pending', 'running') ORDER BY lane LIMIT 1)
        UNION ALL
        SELECT (SELECT a.lane FROM activities a
                 WHERE a.lane > lanes.lane AND a.lane <> '' AND a.status IN ('pending', 'running')
                 ORDER BY a.lane LIMIT 1)
          FROM lanes WHERE lanes.lane IS NOT NULL
    )
    SELECT found.lane, head.held
      FROM (SELECT lane FROM lanes WHERE lane IS NOT NULL LIMIT %(limit)s) AS found CROSS JOIN LATERAL (
        SELECT a.held FROM activities a
         WHERE a.lane = found.lane AND a.lane <> '' AND a.status IN ('pending', 'running') ORDER BY a.id LIMIT 1
      ) AS head
"""


class Owner:
    """Told of deliveries, frees the next of a lane when its head has ended; one that is parked is out of the way."""

    def lock(self, concerned: Sequence[News]) -> None:
        """Lock the lanes of those that may end."""
        ended = _lanes_of(concerned)
        if ended:
            execute(LOCK, [ended])

    def hear(self, moved: Sequence[News], metadata: JSON) -> None:
        """Free what stood behind them."""
        ended = _lanes_of(moved)
        if ended and execute(FREE, [ended]).rowcount:
            bells.ring_on_commit(Bell.ACTIVITIES)


def admit(written: Iterable[tuple[str, str]]) -> None:
    """Line up new activities, given as (lane, id), and free the first of each lane; in short transactions."""
    ids: dict[str, list[str]] = {}
    for lane, activity_id in written:
        ids.setdefault(lane, []).append(activity_id)
    for some in _portions(sorted(ids)):
        with transaction.atomic(savepoint=False):
            execute(LOCK, [some])
            execute(LINE_UP, {"ids": [each for lane in some for each in ids[lane]]})
            execute(FREE, [some])


def rescue(lanes: Iterable[str]) -> int:
    """Free the first of each lane in which nothing is free, in short transactions; give how many there were."""
    freed = 0
    for some in _portions(sorted(set(lanes))):
        with transaction.atomic():
            execute(LOCK, [some])
            stranded = [row[0] for row in execute(STRANDED, [some]).fetchall()]
            freed += execute(FREE, [stranded]).rowcount
    return freed


class Patrol:
    """Looks through the lanes, some at a time, for heads that nobody has freed."""

    def __init__(self) -> None:
        self._after = ""

    def walk(self, limit: int = LANES_PER_SWEEP) -> int:
        """Look at the next lanes and free what is stranded; give how many were."""
        seen = execute(LOOK, {"after": self._after, "limit": limit}).fetchall()
        self._after = max(lane for lane, _ in seen) if len(seen) == limit else ""
        stranded = [lane for lane, held in seen if held]
        return rescue(stranded) if stranded else 0


# What is going to be tried again is still its lane's head.
def _lanes_of(news: Sequence[News]) -> list[str]:
    return sorted({each.lane for each in news if each.lane and each.status in ENDED})


def _portions(lanes: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(lanes), MOST_AT_ONCE):
        yield list(lanes[start : start + MOST_AT_ONCE])
