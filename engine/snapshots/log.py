"""The log of one aggregate, as a fold reads it: page by page, so that a long one needs no more memory than a short."""

from __future__ import annotations

from collections.abc import Iterator

from engine.connections import execute
from engine.event_store.events import Event
from engine.event_store.rows import COLUMNS, event_of

PAGE = 2_000

READ = f"""
    SELECT {COLUMNS} FROM stored_events
     WHERE aggregate_id = %(id)s AND sequence >= %(first)s AND sequence <= %(last)s
       AND aggregate_type = %(type)s AND tenant_id = %(tenant)s
     ORDER BY sequence LIMIT %(limit)s
"""
# The greatest of PostgreSQL's bigint.
END = 2**63 - 1


def read(
    tenant_id: str, aggregate_type: str, aggregate_id: str, *, first: int = 1, last: int | None = None
) -> Iterator[Event]:
    """Give the events of an aggregate in their order, from one sequence to another, both included."""
    last = END if last is None else last
    given = {"id": aggregate_id, "type": aggregate_type, "tenant": tenant_id, "last": last, "limit": PAGE}
    while True:
        found = execute(READ, {**given, "first": first}).fetchall()
        event = None
        for row in found:
            event = event_of(row)
            yield event
        if event is None or len(found) < PAGE:
            return
        first = event.sequence + 1
