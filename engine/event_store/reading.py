"""
Reading the log of all aggregates in the one order that every reader sees alike, and sees without holes.

The order is (tx, position). What an open transaction may still add lies behind whatever is given here: events are
readable once every transaction that is as old as theirs has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.connections import execute
from engine.event_store.events import Event
from engine.event_store.rows import COLUMNS, event_of

READABLE: Final = "tx < log_place(pg_snapshot_xmin(pg_current_snapshot()))"

# What follows a place, of some kinds only; the index (tx, position) is read from that place on.
READ_AFTER = f"""
    SELECT {COLUMNS} FROM stored_events
     WHERE (tx, position) > (%(tx)s, %(position)s) AND {READABLE}
       AND (%(types)s::text[] IS NULL OR type = ANY(%(types)s))
       AND (%(kinds)s::text[] IS NULL OR aggregate_type = ANY(%(kinds)s))
       AND (%(tenant)s::uuid IS NULL OR tenant_id = %(tenant)s)
     ORDER BY tx, position LIMIT %(limit)s
"""
# The next so many places, and what is wanted among them. The last place is always among the rows, so that a reader
# gets on where nothing is wanted.
READ_STRETCH = f"""
    WITH stretch AS MATERIALIZED (
        SELECT {COLUMNS} FROM stored_events
         WHERE (tx, position) > (%(tx)s, %(position)s) AND {READABLE}
         ORDER BY tx, position LIMIT %(limit)s),
    marked AS (
        SELECT *, (%(types)s::text[] IS NULL OR type = ANY(%(types)s))
                  AND (%(kinds)s::text[] IS NULL OR aggregate_type = ANY(%(kinds)s)) AS is_wanted
          FROM stretch)
    SELECT * FROM marked
     WHERE is_wanted OR (tx, position) = (SELECT tx, position FROM stretch ORDER BY tx DESC, position DESC LIMIT 1)
     ORDER BY tx, position
"""
# The last place that can be read now.
HEAD = f"SELECT tx, position FROM stored_events WHERE {READABLE} ORDER BY tx DESC, position DESC LIMIT 1"

START: Final = (0, 0)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the log: the events that were wanted of it, and the place where it ends."""

    events: list[Event]
    ends: tuple[int, int]


def read_after(
    tx: int,
    position: int,
    *,
    types: Sequence[str] = (),
    aggregate_types: Sequence[str] = (),
    tenant_id: str | None = None,
    limit: int,
) -> list[Event]:
    """Give the next events after a place, at most `limit`; without types or aggregate types, those of any."""
    wanted = {"types": list(types) or None, "kinds": list(aggregate_types) or None, "tenant": tenant_id}
    place = {"tx": tx, "position": position, "limit": limit}
    return [event_of(row) for row in execute(READ_AFTER, {**place, **wanted})]


def read_stretch(
    after: tuple[int, int], *, types: Sequence[str] = (), aggregate_types: Sequence[str] = (), limit: int
) -> Stretch | None:
    """Give the next `limit` places of the log with what is wanted among them; None where nothing can be read."""
    wanted = {"types": list(types) or None, "kinds": list(aggregate_types) or None}
    rows = execute(READ_STRETCH, {"tx": after[0], "position": after[1], "limit": limit, **wanted}).fetchall()
    if not rows:
        return None
    return Stretch([event_of(row) for row in rows if row[-1]], (rows[-1][10], rows[-1][11]))


def head() -> tuple[int, int]:
    """Give the place of the last event that can be read now; the start where there is none."""
    found = execute(HEAD).fetchone()
    return START if found is None else (found[0], found[1])
