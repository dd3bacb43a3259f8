"""
Instances whose side effects have ended: named in a narrow table, as a mark would write the instance's wide row anew.

A wake is made under the lock of its instance and goes with the transaction that looks at the instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.connections import execute
from engine.execution import rows

# Locks instances in the order of their ids, and wakes those of them that are under way and named; gives all of them,
# with their statuses.
LOCK_AND_WAKE = """
    WITH locked AS MATERIALIZED (
        SELECT id, tenant_id, priority, status FROM flow_instances
         WHERE id = ANY(%(concerned)s) ORDER BY id FOR NO KEY UPDATE
    ), woken AS (
        INSERT INTO instance_wakes (tenant_id, rank, instance_id)
        SELECT tenant_id, -priority, id FROM locked JOIN unnest(%(woken)s::uuid[]) AS n(id) USING (id)
         WHERE status IN ('running', 'waiting')
        ON CONFLICT DO NOTHING
    )
    SELECT id, status FROM locked
"""

# Takes woken instances and their wakes, an equal share per tenant that has any. The subquery with the lock is one look
# by primary key for each wake, and who is locked elsewhere keeps its wake. The order is settled below the look: sorted
# above it, more would be locked than are taken. Its limit is none, but the planner does not know that, and so reads the
# index from its beginning instead of sorting all wakes. Wakes are never updated, and what stands where one stood is not
# seen by this statement: their place in the table is as good as their key, and costs no join.
TAKE = f"""
    WITH RECURSIVE busy AS (
        (SELECT tenant_id FROM instance_wakes ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT w.tenant_id FROM instance_wakes w
                 WHERE w.tenant_id > busy.tenant_id ORDER BY w.tenant_id LIMIT 1)
          FROM busy WHERE busy.tenant_id IS NOT NULL
    ), share AS MATERIALIZED (
        SELECT tenant_id, greatest(1, %(limit)s / count(*) OVER ())::int AS most
          FROM busy WHERE tenant_id IS NOT NULL ORDER BY random() LIMIT %(limit)s
    ), taken AS MATERIALIZED (
        SELECT found.* FROM share CROSS JOIN LATERAL (
            SELECT i.*, w.wake
              FROM (SELECT instance_id, ctid AS wake FROM instance_wakes
                     WHERE tenant_id = share.tenant_id ORDER BY rank, instance_id
                     LIMIT nullif(share.most, share.most)) AS w
                   CROSS JOIN LATERAL (
                       SELECT * FROM flow_instances i WHERE i.id = w.instance_id FOR NO KEY UPDATE SKIP LOCKED
                   ) AS i
             LIMIT share.most
          ) AS found
    ), gone AS (
        DELETE FROM instance_wakes WHERE ctid = ANY(ARRAY(SELECT wake FROM taken))
    )
    SELECT {rows.COLUMNS}, (SELECT f.status = 'paused' FROM flows f WHERE f.id = taken.flow_id) AS paused
      FROM taken
"""

# Whether an instance, `taken`, has a wake.
HAS_WAKE = """
    EXISTS (SELECT FROM instance_wakes w
             WHERE w.tenant_id = taken.tenant_id AND w.rank = -taken.priority AND w.instance_id = taken.id)
"""

FORGET = """
    DELETE FROM instance_wakes w USING unnest(%s::uuid[], %s::smallint[], %s::uuid[]) AS n(tenant_id, rank, id)
     WHERE w.tenant_id = n.tenant_id AND w.rank = n.rank AND w.instance_id = n.id
"""

MARK = """
    UPDATE flow_instances SET runnable = true
     WHERE id = ANY(%s) AND status IN ('running', 'waiting') AND NOT runnable
"""


def lock_and_wake(concerned: Iterable[str], woken: Iterable[str]) -> dict[str, str]:
    """Lock instances, wake those of them that are under way and among `woken`; give the status of each."""
    found = execute(LOCK_AND_WAKE, {"concerned": sorted(concerned), "woken": list(woken)}).fetchall()
    return {row[0]: row[1] for row in found}


def take(limit: int) -> list[rows.Row]:
    """
    Lock up to `limit` woken instances; the caller's transaction holds them, and their wakes are gone with it.

    One that ended meanwhile has nothing to take up. One under suspicion gets a mark instead, to be run alone.
    """
    found = rows.fetch(TAKE, {"limit": limit})
    if suspects := [row.id for row in found if row.deaths]:
        mark(suspects)
    return [row for row in found if not row.deaths and row.status in ("running", "waiting")]


def forget(taken: Sequence[rows.Row]) -> None:
    """Drop the wakes of instances that the caller holds and is about to look at."""
    if taken:
        execute(FORGET, [[row.tenant_id for row in taken], [-row.priority for row in taken], [row.id for row in taken]])


def mark(ids: Sequence[str]) -> None:
    """Put instances that the caller holds into the runnable index."""
    execute(MARK, [list(ids)])
