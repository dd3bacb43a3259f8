"""A row of the log as an event: the one place where it is made, and where old shapes become new ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from engine.event_store import upcasters
from engine.event_store.events import Event

# What every statement that reads events selects first, in this order; ids and JSON come as text.
COLUMNS: Final = """event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, schema_version, data, metadata,
       recorded_at, tx, position"""


def event_of(row: Sequence[Any]) -> Event:
    """Make the event of a row that has COLUMNS first, in its newest shape; raises UpcastFailed where that fails."""
    return upcasters.to_newest(
        Event(
            event_id=row[0],
            tenant_id=row[1],
            aggregate_type=row[2],
            aggregate_id=row[3],
            sequence=row[4],
            type=row[5],
            schema_version=row[6],
            data=orjson.loads(row[7]),
            metadata=orjson.loads(row[8]),
            at=row[9],
            tx=row[10],
            position=row[11],
        )
    )
