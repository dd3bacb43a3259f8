"""
Thawing a failed instance.

The node that failed runs again; every other token waits for what it waited for, timed from when its wait began.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson

from engine.connections import execute
from engine.execution import caps, hearing, lookback
from engine.execution.burst import Burst
from engine.execution.tokens import BROKEN, WAITING

JSON = dict[str, Any]

# In the order of their keys, as the router of events takes them. Both are columns that never change.
LOCK_PARTICIPANTS = """
    SELECT pg_advisory_xact_lock(hashtextextended('participant:' || key, 0))
      FROM (SELECT DISTINCT tenant_id::text || ':' || participant_id AS key
              FROM flow_instances WHERE id = ANY(%s) ORDER BY 1) AS keys
"""

# The side effect of a node that failed after its success was recorded is never issued again: its outcome is handed in
# once more.
FIND_OUTCOMES = """
    SELECT DISTINCT ON (e.aggregate_id, e.data ->> 'node') e.aggregate_id::text, e.data
      FROM stored_events e
      JOIN unnest(%s::uuid[], %s::text[]) AS n(id, node) ON e.aggregate_id = n.id AND e.data ->> 'node' = n.node
     WHERE e.type = 'activity_completed'
     ORDER BY e.aggregate_id, e.data ->> 'node', e.sequence DESC
"""

# The retry's activity has the idempotency key of the one that failed, so that one gives it up; the log knows it still.
GIVE_UP_KEYS = """
    UPDATE activities a SET idempotency_key = left(a.idempotency_key, 200) || '#' || a.id
      FROM unnest(%s::uuid[], %s::text[]) AS n(id, node)
     WHERE a.instance_id = n.id AND a.node_id = n.node AND a.status IN ('failed', 'cancelled')
       AND a.idempotency_key NOT LIKE '%%#' || a.id
"""


def lock_participants(ids: Iterable[str]) -> None:
    """Take the locks under which events are routed; before any instance's row is locked."""
    execute(LOCK_PARTICIPANTS, [sorted(ids)])


def retry(bursts: Sequence[Burst], *, reason: str) -> None:
    """Record the retry of failed instances and set up again what their other tokens wait for."""
    broken = {burst.state.id: _broken(burst) for burst in bursts}
    places = [(key, node) for key, node in broken.items() if node is not None]
    outcomes = _outcomes(places)
    for burst in bursts:
        node = broken[burst.state.id]
        _record(burst, node, reason)
        if node is not None and (outcome := outcomes.get((burst.state.id, node))) is not None:
            burst.record("activity_completed", outcome)
        _rearm(burst)
    caps.keep_again(bursts)
    _look_back(bursts)


# A token that the batch never came to (a worker died, a statement failed) is as it was, with what woke it: it goes on.
def _broken(burst: Burst) -> str | None:
    return next((key for key, each in burst.state.tokens.items() if each["status"] == BROKEN), None)


def _record(burst: Burst, node: str | None, reason: str) -> None:
    if node is None:
        burst.record("retried", {"node": None, "type": None, "step": None, "attempt": None, "reason": reason})
        return
    token = burst.state.tokens[node]
    attempt = token["attempt"] + 1
    data = {"node": node, "type": token["node_type"], "step": token["step"], "attempt": attempt, "reason": reason}
    burst.record("retried", data)


def _outcomes(places: list[tuple[str, str]]) -> dict[tuple[str, str], JSON]:
    if not places:
        return {}
    parameters = [[key for key, _ in places], [node for _, node in places]]
    found = [(key, orjson.loads(data)) for key, data in execute(FIND_OUTCOMES, parameters).fetchall()]
    execute(GIVE_UP_KEYS, parameters)
    return {(key, data["node"]): data for key, data in found}


def _rearm(burst: Burst) -> None:
    for node, token in burst.state.tokens.items():
        wait = token["waiting_for"]
        if token["status"] == WAITING and wait is not None:
            until = datetime.fromisoformat(wait["until"]) if wait["until"] else None
            burst.arm(node, until=until, event_types=wait["event_types"], filter_=wait["filter"])


def _look_back(bursts: Sequence[Burst]) -> None:
    waits = [(burst, node) for burst in bursts for node in list(burst.state.tokens) if _listens(burst, node)]
    found = lookback.earlier_events([_glance(burst, node) for burst, node in waits])
    hearing.look_up((burst, orjson.dumps(burst.state.tokens[node]["waiting_for"]).decode()) for burst, node in waits)
    for burst, node in waits:
        wait = burst.state.tokens[node]["waiting_for"]
        event = lookback.first_match(burst, wait["filter"], found.get((burst.state.id, node), []))
        if event is not None:
            burst.disarm(node)
            burst.record("wait_resolved", {"node": node, "by": "event", "event": event, "matched_from": "retry"})


def _listens(burst: Burst, node: str) -> bool:
    wait = burst.state.tokens[node]["waiting_for"]
    return wait is not None and bool(wait["event_types"])


def _glance(burst: Burst, node: str) -> lookback.Glance:
    state, token = burst.state, burst.state.tokens[node]
    wait = token["waiting_for"]
    types = tuple(wait["event_types"])
    until = datetime.fromisoformat(wait["until"]) if wait["until"] else None
    since = datetime.fromisoformat(token["since"])
    return lookback.Glance(state.id, node, state.tenant_id, state.participant_id, types, since, until)
