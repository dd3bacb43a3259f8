"""Messages that rest until a moment of engine time, such as the end of quiet hours: woken when it has come."""

from __future__ import annotations

import time
from typing import Final

from django.db import transaction

from engine import chores, clock
from engine.chores import Chore
from engine.connections import execute
from marketing.deliveries import errands

LIMIT: Final = 1_000
IS_DUE: Final = "SELECT 1 FROM deliveries WHERE due_at <= %s LIMIT 1"
WAKE: Final = """
    WITH due AS MATERIALIZED (
        SELECT id FROM deliveries WHERE due_at <= %s ORDER BY due_at, id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE deliveries d SET due_at = NULL FROM due WHERE d.id = due.id RETURNING d.tenant_id, d.id, d.flow_id
"""


def connect() -> None:
    """Have the engine do this in the background; may be called twice."""
    chores.register(Chore("deliveries", is_due, lambda slice_s: run(slice_s) > 0))


def is_due() -> bool:
    """Whether any message has rested long enough: one look at an index."""
    return execute(IS_DUE, [clock.now()]).fetchone() is not None


def run(slice_s: float) -> int:
    """Wake messages until none is due or the slice is over; give how many."""
    until, done = time.monotonic() + slice_s, 0
    while woken := _batch():
        done += woken
        if time.monotonic() >= until:
            break
    return done


def _batch() -> int:
    with transaction.atomic(durable=True):
        woken = execute(WAKE, [clock.now(), LIMIT]).fetchall()
        by_tenant: dict[str, list[tuple[str, str | None]]] = {}
        for tenant_id, delivery_id, flow_id in woken:
            by_tenant.setdefault(tenant_id, []).append((delivery_id, flow_id))
        for tenant_id, messages in by_tenant.items():
            errands.run_many(tenant_id, messages)
    return len(woken)
