"""Adding what is loose to the totals, in the background: readers then have few rows to add up."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from django.db import transaction

from engine import chores
from engine.chores import Chore
from engine.connections import execute, one
from marketing.models.tally import KEY

# As long as that a row stays loose, so that many are added up at once.
LOOSE_FOR: Final = timedelta(seconds=10)
LIMIT: Final = 20_000

_COLUMNS: Final = ", ".join(KEY)
IS_DUE: Final = "SELECT 1 FROM tallies WHERE NOT is_total AND made_at < clock_timestamp() - %s LIMIT 1"
# Sorted, so that two who do this never wait for each other in a circle.
ADD_UP: Final = f"""
    WITH loose AS (
        DELETE FROM tallies WHERE id = ANY(ARRAY(
            SELECT id FROM tallies WHERE NOT is_total AND made_at < clock_timestamp() - %(loose_for)s
             ORDER BY made_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
     RETURNING {_COLUMNS}, n
    ), added AS (
        INSERT INTO tallies AS t ({_COLUMNS}, n, is_total)
        SELECT {_COLUMNS}, sum(n), true FROM loose GROUP BY {_COLUMNS} ORDER BY {_COLUMNS}
        ON CONFLICT ({_COLUMNS}) WHERE is_total DO UPDATE SET n = t.n + excluded.n
    )
    SELECT count(*) FROM loose
"""


def connect() -> None:
    """Have the engine do this in the background; may be called twice."""
    chores.register(Chore("tallies", is_due, lambda slice_s: add_up(slice_s) > 0))


def is_due() -> bool:
    """Whether anything has been loose for long enough: one look at an index."""
    return execute(IS_DUE, [LOOSE_FOR]).fetchone() is not None


def add_up(slice_s: float, *, loose_for: timedelta = LOOSE_FOR) -> int:
    """Add up until nothing is due or the time is over; give how many rows went into totals. Harmless when doubled."""
    until, gone = time.monotonic() + slice_s, 0
    while True:
        with transaction.atomic(durable=True):
            found = int(one(ADD_UP, {"loose_for": loose_for, "limit": LIMIT}))
        gone += found
        if found < LIMIT or time.monotonic() >= until:
            return gone
