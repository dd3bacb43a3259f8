"""Waits whose time has come."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Any

from django.db import transaction

from engine import bells, clock
from engine.bells import Bell
from engine.conf import engine_settings
from engine.connections import execute
from engine.execution import batch, claim, rows, woken, write
from engine.execution.burst import Burst
from engine.execution.claim import Claims
from engine.moments import iso

logger = logging.getLogger(__name__)

# Finds due timers and locks their instances, in the order in which they are due; whoever is locked elsewhere is passed
# over. A timer whose participant has an event in the inbox that may still win, by its own time, is left for the router.
# OFFSET and the subqueries keep it one look for each timer: planned as joins, it may begin at the inbox, at a flow or
# at the instances.
TAKE_DUE = f"""
    SELECT {rows.COLUMNS}, (SELECT f.status = 'paused' FROM flows f WHERE f.id = taken.flow_id) AS paused,
           due.id, due.node_id, due.due_at
      FROM (SELECT t.id, t.node_id, t.due_at, t.instance_id
              FROM timers t
             WHERE t.due_at <= %(now)s AND NOT t.held AND t.instance_id IS NOT NULL
               AND NOT EXISTS (
                   SELECT 1 FROM event_subscriptions s CROSS JOIN LATERAL (
                       SELECT FROM inbound_events e
                        WHERE e.tenant_id = s.tenant_id AND e.participant_id = s.participant_id
                          AND e.event_type = s.event_type AND e.routed_at IS NULL AND e.event_id <> ''
                          AND e.occurred_at <= t.due_at
                       OFFSET 0) AS e
                    WHERE s.instance_id = t.instance_id AND s.node_id = t.node_id
                   OFFSET 0)
             ORDER BY t.due_at, t.id
            OFFSET 0) AS due
           CROSS JOIN LATERAL (
               SELECT * FROM flow_instances i WHERE i.id = due.instance_id FOR NO KEY UPDATE SKIP LOCKED
           ) AS taken
     LIMIT %(limit)s
"""

# Decides who fires a timer: between the look and the lock it may have gone, or have been held by a pause of its
# instance.
FIRE = "DELETE FROM timers WHERE id = ANY(%s) AND NOT held RETURNING id"

# A timer that came due while its flow was paused leaves the index until the flow is resumed. A flow being resumed right
# now is passed over.
HOLD = """
    WITH still_paused AS MATERIALIZED (
        SELECT id FROM flows WHERE id = ANY(%(flows)s) AND status = 'paused' FOR SHARE SKIP LOCKED
    )
    UPDATE timers t SET held = true FROM flow_instances i
     WHERE t.id = ANY(%(ids)s) AND i.id = t.instance_id AND i.flow_id IN (SELECT id FROM still_paused)
"""

IS_DUE = "SELECT 1 FROM timers WHERE due_at <= %s AND NOT held AND instance_id IS NOT NULL LIMIT 1"

# The moments of the near future, one row each however many timers end in it.
NEAR = """
    SELECT DISTINCT date_trunc('milliseconds', due_at) FROM timers WHERE due_at > %s AND due_at <= %s
        AND NOT held AND instance_id IS NOT NULL ORDER BY 1 LIMIT 1000
"""


def wake_due(*, slice_s: float | None = None, task_id: str = "") -> int:
    """
    Fire whatever is due until nothing is, or the slice is over; give the number of timers fired.

    Each batch is one transaction: the timer goes, `wait_resolved` is appended, the instance becomes runnable. Harmless
    when doubled.
    """
    settings = engine_settings()
    until = time.monotonic() + (settings.slice_s if slice_s is None else slice_s)
    fired = 0
    while time.monotonic() < until:
        claim.bury_the_dead_now_and_then()
        taken, done = _fire_batch(settings.router_batch_size, {"actor": "timer", "task_id": task_id})
        fired += done
        if not taken:
            break
    return fired


def is_due() -> bool:
    """Whether any timer is due: one look at an index."""
    return execute(IS_DUE, [clock.now()]).fetchone() is not None


def announce_near() -> None:
    """Give every timer that comes within the horizon its countdown, one per moment."""
    bells.announce(NEAR)


def _fire_batch(limit: int, metadata: dict[str, str]) -> tuple[int, int]:
    try:
        with claim.claims(metadata["task_id"]) as claims:
            return _fire(limit, metadata, claims)
    except batch.CULPABLE as error:
        # What somebody does once woken cannot be stored: all are only woken, and the loop finds out who it is.
        logger.warning("timers.undone", extra={"error": repr(error)})
        return _fire(limit, metadata, None)


def _fire(limit: int, metadata: dict[str, str], claims: Claims | None) -> tuple[int, int]:
    with transaction.atomic(durable=True):
        now = clock.now()
        found = execute(TAKE_DUE, {"now": now, "limit": limit}).fetchall()
        if not found:
            return 0, 0
        paused = [each for each in found if each[-4]]
        if paused:
            execute(HOLD, {"ids": [each[-3] for each in paused], "flows": [_row(each).flow_id for each in paused]})
        due = [each for each in found if not each[-4]]
        gone = {row[0] for row in execute(FIRE, [[each[-3] for each in due]]).fetchall()} if due else set()
        bursts = _resolve([each for each in due if each[-3] in gone], now)
        if claims is not None:
            bursts = woken.run(bursts, {row.id: row for row in map(_row, due)}, claims)
        write.batch(bursts, metadata=metadata, closing=claims.ids if claims else ())
        woken.ring_for(bursts)
        if any(burst.is_runnable for burst in bursts):
            bells.ring_on_commit(Bell.ADVANCE)
    return len(found), len(bursts)


# An instance may have several tokens that are due at once: one burst for all of them.
def _resolve(due: list[tuple[Any, ...]], now: datetime) -> list[Burst]:
    bursts: dict[str, Burst] = {}
    for each in due:
        row, node_id = _row(each), each[-2]
        burst = bursts.get(row.id) or bursts.setdefault(row.id, batch.open_burst(row, now))
        token = burst.state.tokens.get(node_id)
        # A timer of a token that has gone on, or of a run that has ended, has nothing to say.
        if token is None or token["status"] != "waiting" or burst.state.status not in ("running", "waiting"):
            continue
        if token["waiting_for"] and token["waiting_for"]["event_types"]:
            burst.disarm(node_id)
        burst.record("wait_resolved", {"node": node_id, "by": "timer", "due_at": iso(each[-1])})
    return [burst for burst in bursts.values() if burst.events]


def _row(found: tuple[Any, ...]) -> rows.Row:
    return rows.Row(*found[:-3])
