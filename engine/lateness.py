"""Side effects that have used up their time and cannot be stopped: their owners hear of it while they still run."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from engine import activity_owners
from engine.activity_owners import News
from engine.connections import execute
from engine.leases import Lease

# What ended meanwhile has told its own end.
STILL_RUNNING = """
    SELECT a.id FROM activities a JOIN unnest(%s::uuid[], %s::int[]) AS n(id, attempt)
        ON a.id = n.id AND a.status = 'running' AND a.attempts = n.attempt
     ORDER BY a.id FOR UPDATE OF a
"""


def tell(leases: Sequence[Lease]) -> None:
    """Tell the owners of attempts that are overdue, with the status `running`: what it means is theirs to say."""
    news = [_news(lease) for lease in leases]
    with transaction.atomic():
        activity_owners.lock(news)
        given = [[lease.id for lease in leases], [lease.attempt for lease in leases]]
        running = {row[0] for row in execute(STILL_RUNNING, given).fetchall()}
        activity_owners.tell([each for each in news if each.activity_id in running], {"actor": "activity"})


def error_of(lease: Lease) -> dict[str, object]:
    """Give what is kept of such an attempt."""
    seconds = lease.policy["timeout_s"]
    return {"code": "timeout", "detail": f"No answer within {seconds:g} s.", "result": None, "unknown": True}


def _news(lease: Lease) -> News:
    return News(
        lease.id, lease.kind, lease.tenant_id, lease.instance_id, lease.saga_id, lease.lane, lease.node_id,
        lease.attempt, "running", None, error_of(lease),
    )  # fmt: skip
