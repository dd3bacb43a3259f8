"""Side effects that were leased and never begun: somebody else may have a hand free."""

from __future__ import annotations

from collections.abc import Sequence

from engine import bells
from engine.activities import Lease
from engine.bells import Bell
from engine.connections import execute

# As it was before: nothing was done, so the attempt does not count.
HAND_BACK = """
    UPDATE activities a SET status = 'pending', attempts = a.attempts - 1, lease_until = NULL
      FROM unnest(%s::uuid[], %s::int[]) AS n(id, attempt)
     WHERE a.id = n.id AND a.status = 'running' AND a.attempts = n.attempt
"""


def hand_back(leases: Sequence[Lease]) -> None:
    """Give up leases whose call was never begun."""
    execute(HAND_BACK, [[lease.id for lease in leases], [lease.attempt for lease in leases]])
    bells.ring(Bell.ACTIVITIES)
