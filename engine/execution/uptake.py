"""Activities that ended since the loop last looked: outcomes become events when their instance is next run."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from engine.connections import execute
from engine.execution.burst import Burst

FINISHED = "SELECT id, attempts, result FROM activities WHERE id = ANY(%s) AND status = 'completed'"


def take_up(bursts: Sequence[Burst]) -> None:
    """Append `activity_completed` for each token whose activity has succeeded; one look for the whole batch."""
    waiting = {
        token["activity"]: (burst, node_id)
        for burst in bursts
        for node_id, token in burst.state.tokens.items()
        if token["activity"] is not None and token["status"] == "waiting"
    }
    if not waiting:
        return
    for activity, attempt, result in execute(FINISHED, [list(waiting)]).fetchall():
        burst, node_id = waiting[activity]
        outcome = orjson.loads(result)
        burst.record(
            "activity_completed", {"node": node_id, "activity": activity, "attempt": attempt, "outcome": outcome}
        )
