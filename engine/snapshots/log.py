"""The log of one aggregate, as a fold reads it: page by page, so that a long one needs no more memory than a short."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from engine.connections import execute
from engine.event_store.events import Event

PAGE = 2_000

COLUMNS = """type, data, sequence, recorded_at, metadata, schema_version, event_id, tenant_id, aggregate_type,
           aggregate_id, position, tx"""
# Places in a row of COLUMNS.
SEQUENCE, AGGREGATE_TYPE, AGGREGATE_ID = 2, 8, 9

READ = f"""
    SELECT {COLUMNS}
      FROM stored_events
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
        for row in found:
            yield as_event(row)
        if len(found) < PAGE:
            return
        first = found[-1][SEQUENCE] + 1


def as_event(row: Any) -> Event:
    """Make the event of a row of COLUMNS."""
    kind, data, sequence, at, metadata, *rest = row
    return Event(kind, orjson.loads(data), sequence, at, orjson.loads(metadata), *rest)
