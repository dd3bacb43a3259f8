"""One participant turns out to be another: their live runs go on under the other's id."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction

from engine import bells, clock, entry_memory, operations
from engine.bells import Bell
from engine.connections import execute
from engine.execution import batch, rows, write

MERGED: Final = "merged"

# As the router of events locks participants: before any instance, in the order of their keys.
LOCK = """
    SELECT pg_advisory_xact_lock(hashtextextended('participant:' || key, 0))
      FROM (SELECT unnest(%s::text[]) AS key ORDER BY 1) AS keys
"""
# The other one is in the same flow already: one live run per participant and key.
RIVALS = """
    SELECT mine.id::text FROM flow_instances mine
      JOIN flow_instances other ON other.tenant_id = mine.tenant_id AND other.flow_id = mine.flow_id
       AND other.live_key = mine.live_key AND other.participant_id = %(to)s
       AND other.status IN ('running', 'waiting', 'paused', 'compensating')
     WHERE mine.tenant_id = %(tenant)s AND mine.participant_id = %(from)s
       AND mine.status IN ('running', 'waiting', 'paused')
"""
LIVE = """
    SELECT id::text FROM flow_instances
     WHERE tenant_id = %(tenant)s AND participant_id = %(from)s AND status IN ('running', 'waiting', 'paused')
"""
MOVE = "UPDATE flow_instances SET participant_id = %s WHERE id = ANY(%s)"
# Also the goals that runs which have ended still watch for.
MOVE_SUBSCRIPTIONS = """
    UPDATE event_subscriptions SET participant_id = %(to)s WHERE tenant_id = %(tenant)s AND participant_id = %(from)s
"""


def hand_over(tenant_id: Any, source: str, target: str, *, actor: str = "") -> tuple[int, int]:
    """
    Let the live runs of `source` go on for `target`, in the caller's transaction; give how many moved, how many ended.

    Where both are in the same flow, the target's run stays and the other one is exited, `merged`.
    """
    metadata = operations.metadata_of(actor, "")
    names = {"tenant": str(tenant_id), "from": source, "to": target}
    with transaction.atomic():
        execute(LOCK, [[f"{tenant_id}:{source}", f"{tenant_id}:{target}"]])
        # Before any instance: whoever starts holds them when it comes to the instances.
        entry_memory.unite(str(tenant_id), source, target)
        rivals = [row[0] for row in execute(RIVALS, names).fetchall()]
        operations.exit_many(rivals, code=MERGED, detail=f"Goes on as {target}.", metadata=metadata)
        found = rows.lock([row[0] for row in execute(LIVE, names).fetchall()])
        live = [row for row in found.values() if row.status in {"running", "waiting", "paused"}]
        now = clock.now()
        bursts = [batch.open_burst(row, now) for row in live]
        for burst in bursts:
            burst.record("handed_over", {"participant_id": target, "from": source})
        write.batch(bursts, metadata=metadata)
        execute(MOVE, [target, [row.id for row in live]])
        execute(MOVE_SUBSCRIPTIONS, names)
        if any(burst.is_runnable for burst in bursts):
            bells.ring_on_commit(Bell.ADVANCE)
    return len(live), len(rivals)
