"""
A log that was brought here from another server by a dump.

Its order is that of transactions, and this server counts them anew: what is recorded here would stand before all that
came along, and nobody would read it. What `log_place` adds to the number of a transaction puts it behind.
"""

from __future__ import annotations

from typing import Final

from django.db import transaction

from engine.connections import execute, one

# Whether the migrations have come as far.
IS_KNOWN: Final = "SELECT to_regprocedure('log_place(xid8)') IS NOT NULL"
# Whether the log has a place that this server will not come to for long.
IS_AHEAD: Final = """
    SELECT coalesce(max(tx) >= log_place(pg_snapshot_xmax(pg_current_snapshot())), false) FROM stored_events
"""
# Whoever records waits until the function is another one.
LOCK: Final = "LOCK TABLE stored_events IN SHARE ROW EXCLUSIVE MODE"
MISSING: Final = "SELECT max(tx) + 1 - pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM stored_events"
PUT: Final = """
    CREATE OR REPLACE FUNCTION log_place(xid8) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN $1::text::bigint + {added}
"""


def is_ahead() -> bool:
    """Tell whether the log was brought here from another server, whose transactions had higher numbers."""
    return bool(one(IS_AHEAD))


def adopt() -> bool:
    """
    Let this server's transactions come behind those of the log; tell whether that was needed.

    What was recorded here before stands in front of them: that of an aggregate that came along is right behind its own
    events all the same.
    """
    if not one(IS_KNOWN) or not is_ahead():
        return False
    with transaction.atomic():
        execute(LOCK)
        if not is_ahead():
            return False
        # In a statement of its own, as it is no parameter but text of the function.
        execute(PUT.format(added=int(one(MISSING))))
    return True
