"""How often and when each participant entered a flow: what `once` and `after_interval` are decided by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.connections import execute
from engine.execution import write

# Locks (or makes) the memory of each participant's entries, so that two starts at once see each other. Sorted, against
# deadlocks. An entry from before the policy asked for this memory is found in the instances themselves.
LOCK = """
    INSERT INTO flow_entries (id, tenant_id, flow_id, participant_id, count, last_entered_at)
    SELECT n.id, %(tenant)s, %(flow)s, n.participant_id,
           (SELECT count(*) FROM flow_instances i
             WHERE i.tenant_id = %(tenant)s AND i.flow_id = %(flow)s AND i.participant_id = n.participant_id),
           coalesce((SELECT max(i.entered_at) FROM flow_instances i
                      WHERE i.tenant_id = %(tenant)s AND i.flow_id = %(flow)s AND i.participant_id = n.participant_id),
                    '-infinity')
      FROM unnest(%(ids)s::uuid[], %(participants)s::text[]) AS n(id, participant_id)
     ORDER BY n.participant_id
    ON CONFLICT (flow_id, participant_id) DO UPDATE SET count = flow_entries.count
 RETURNING participant_id, count, CASE WHEN last_entered_at = '-infinity' THEN NULL ELSE last_entered_at END
"""
COUNT = """
    UPDATE flow_entries SET count = count + 1, last_entered_at = %(now)s
     WHERE flow_id = %(flow)s AND participant_id = ANY(%(participants)s)
"""
# In the order in which starts lock them.
LOCK_BOTH = """
    SELECT FROM flow_entries WHERE tenant_id = %(tenant)s AND participant_id IN (%(from)s, %(to)s)
     ORDER BY flow_id, participant_id FOR UPDATE
"""
# What the one who goes on has no memory of is theirs as it stands.
UNITE = """
    WITH gone AS (
        DELETE FROM flow_entries WHERE tenant_id = %(tenant)s AND participant_id = %(from)s RETURNING *
    )
    INSERT INTO flow_entries AS e (id, tenant_id, flow_id, participant_id, count, last_entered_at)
    SELECT id, tenant_id, flow_id, %(to)s, count, last_entered_at FROM gone ORDER BY flow_id
    ON CONFLICT (flow_id, participant_id)
    DO UPDATE SET count = e.count + excluded.count,
                  last_entered_at = greatest(e.last_entered_at, excluded.last_entered_at)
"""
FORGET = "DELETE FROM flow_entries WHERE flow_id = %(flow)s AND participant_id = ANY(%(participants)s) AND count = 0"


def lock(tenant_id: str, flow_id: str, participants: Sequence[str]) -> dict[str, tuple[int, datetime | None]]:
    """Lock the memory of participants until the transaction ends; give how often and when last each entered."""
    names = sorted(set(participants))
    ids = [write.new_id() for _ in names]
    parameters = {"tenant": tenant_id, "flow": flow_id, "participants": names, "ids": ids}
    return {row[0]: (row[1], row[2]) for row in execute(LOCK, parameters).fetchall()}


def count(flow_id: str, participants: Sequence[str], *, at: datetime) -> None:
    """Note an entry of each."""
    execute(COUNT, {"now": at, "flow": flow_id, "participants": list(participants)})


def forget_unused(flow_id: str, participants: Sequence[str]) -> None:
    """Drop the memory that was only made for the lock."""
    execute(FORGET, {"flow": flow_id, "participants": list(participants)})


def unite(tenant_id: str, source: str, target: str) -> None:
    """Let the entries of one participant be those of another, who they turned out to be."""
    names = {"tenant": tenant_id, "from": source, "to": target}
    execute(LOCK_BOTH, names)
    execute(UNITE, names)
