"""One link of a chain: the next unfinished compensation of each of its roll-backs, leased, done and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import activities, bells
from engine.activity_worker import ActivityWorker
from engine.bells import Bell
from engine.connections import execute
from engine.execution.claim import worker_name
from engine.leases import Lease

JSON = dict[str, Any]

# A link has its own hands; many links may run in one process.
THREADS = 8

# What has a death on it is left to the worker that runs it alone.
FIND = """
    SELECT a.id, a.flow_id, coalesce(f.status = 'paused', false)
      FROM activities a LEFT JOIN flows f ON f.id = a.flow_id
     WHERE (a.instance_id = ANY(%(instances)s::uuid[]) AND a.kind = 'compensation'
            OR a.saga_id = ANY(%(sagas)s::uuid[]))
       AND a.status = 'pending' AND NOT a.held AND a.deaths = 0 AND a.due_at <= clock_timestamp()
     ORDER BY a.id LIMIT %(limit)s
       FOR UPDATE OF a SKIP LOCKED
"""
IS_LEFT = """
    SELECT 1 FROM activities
     WHERE (instance_id = ANY(%(instances)s::uuid[]) AND kind = 'compensation' OR saga_id = ANY(%(sagas)s::uuid[]))
       AND status = 'pending' AND NOT held LIMIT 1
"""


def do_next(*, saga_ids: Sequence[str] = (), instance_ids: Sequence[str] = (), task_id: str = "") -> int:
    """
    Do the compensations of these that are due now, one of each; give how many.

    What follows each is scheduled in the transaction that records it, so that the next link finds it.

    Harmless when doubled: what another one has leased is passed over.
    """
    wanted: JSON = {"sagas": list(saga_ids), "instances": list(instance_ids)}
    taken: set[str] = set()

    def take(room: int) -> list[Lease]:
        if taken:
            return []
        leases = activities.take_by(FIND, wanted | {"limit": len(saga_ids) + len(instance_ids)}, worker_name())
        taken.update(lease.id for lease in leases)
        return leases

    worker = ActivityWorker(take=take, threads=min(THREADS, max(1, len(saga_ids) + len(instance_ids))))
    try:
        return worker.run(task_id=task_id)
    finally:
        worker.close()


def hand_over(*, saga_ids: Sequence[str] = (), instance_ids: Sequence[str] = ()) -> None:
    """After the last link: what is left (longer than its chain, or tried again later) is the activity workers'."""
    if execute(IS_LEFT, {"sagas": list(saga_ids), "instances": list(instance_ids)}).fetchone():
        bells.ring(Bell.ACTIVITIES)
