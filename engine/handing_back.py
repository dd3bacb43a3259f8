"""Side effects that were leased and not done: somebody else may have a hand free, or this one later."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from engine import activity_owners, bells
from engine.activity_owners import News
from engine.bells import Bell
from engine.connections import execute
from engine.leases import Lease

# As it was before: nothing was done, so the attempt does not count. Without a pause it keeps its place.
HAND_BACK = """
    UPDATE activities a
       SET status = 'pending', attempts = a.attempts - 1, lease_until = NULL,
           due_at = greatest(a.due_at, clock_timestamp() + make_interval(secs => %s::float8))
      FROM unnest(%s::uuid[], %s::int[]) AS n(id, attempt)
     WHERE a.id = n.id AND a.status = 'running' AND a.attempts = n.attempt
 RETURNING a.id
"""


def hand_back(leases: Sequence[Lease], *, pause_s: float | None = None) -> None:
    """
    Give up leases whose call was never begun, or was put off for so many seconds.

    A saga that is ending has nothing begun any more, so it is told.
    """
    news = [_news(lease) for lease in leases if lease.saga_id]
    with transaction.atomic():
        activity_owners.lock(news)
        given = [pause_s, [lease.id for lease in leases], [lease.attempt for lease in leases]]
        returned = {row[0] for row in execute(HAND_BACK, given).fetchall()}
        activity_owners.tell([each for each in news if each.activity_id in returned], {"actor": "activity"})
    bells.ring(Bell.ACTIVITIES)


def _news(lease: Lease) -> News:
    return News(
        lease.id, lease.kind, lease.tenant_id, lease.instance_id, lease.saga_id, lease.lane, lease.node_id,
        lease.attempt - 1, "pending", None, None,
    )  # fmt: skip
