"""Side effects: taken with a lease, recorded when they are done, handed on when their worker dies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
from django.db import transaction

from engine import activity_owners, bells, clock, values
from engine.bells import Bell
from engine.conf import engine_settings
from engine.connections import execute
from engine.execution import batch, rows, wakes, write
from engine.execution.burst import Burst
from engine.execution.policy import pause_before, verdict_on
from engine.leases import Ended, Lease
from engine.nodes.outcomes import Branched, Completed, Failed, Outcome

JSON = dict[str, Any]

# Finds pending activities that are due, an equal share per tenant, those of more urgent flows first, and locks them.
# Rank by rank, so that what is due is one stretch of the index, and what is not is never looked at; lazily, so that no
# rank is come to before those above it have given all they have. The flow's status is a subquery, for a join with flows
# may be planned to begin with everything that is pending.
FIND = """
    WITH RECURSIVE busy AS (
        (SELECT tenant_id, rank FROM activities WHERE status = 'pending' AND NOT held
          ORDER BY tenant_id, rank LIMIT 1)
        UNION ALL
        SELECT after.tenant_id, after.rank FROM busy CROSS JOIN LATERAL (
            SELECT a.tenant_id, a.rank FROM activities a
             WHERE a.status = 'pending' AND NOT a.held AND (a.tenant_id, a.rank) > (busy.tenant_id, busy.rank)
             ORDER BY a.tenant_id, a.rank LIMIT 1
        ) AS after
    ), share AS MATERIALIZED (
        SELECT tenant_id, array_agg(rank ORDER BY rank) AS ranks, greatest(1, %(limit)s / count(*) OVER ())::int AS most
          FROM busy GROUP BY tenant_id ORDER BY random() LIMIT %(limit)s
    )
    SELECT taken.id, taken.flow_id, taken.paused
      FROM share CROSS JOIN LATERAL (
        SELECT of_rank.* FROM unnest(share.ranks) AS of(rank) CROSS JOIN LATERAL (
            SELECT a.id, a.flow_id, (SELECT f.status = 'paused' FROM flows f WHERE f.id = a.flow_id) AS paused
              FROM activities a
             WHERE a.tenant_id = share.tenant_id AND a.rank = of.rank AND a.status = 'pending' AND NOT a.held
                 AND a.due_at <= clock_timestamp() AND a.deaths = 0
             ORDER BY a.due_at, a.id
             LIMIT share.most
               FOR UPDATE OF a SKIP LOCKED
          ) AS of_rank
         LIMIT share.most
      ) AS taken
"""

# One that was running when a worker died: it runs alone in its process.
FIND_SUSPECT = """
    SELECT a.id, a.flow_id, (SELECT f.status = 'paused' FROM flows f WHERE f.id = a.flow_id) AS paused
      FROM activities a
     WHERE a.status = 'pending' AND NOT a.held AND a.due_at <= clock_timestamp() AND a.deaths > 0
     ORDER BY a.id LIMIT 1 FOR UPDATE OF a SKIP LOCKED
"""

HOLD = """
    WITH still_paused AS MATERIALIZED (
        SELECT id FROM flows WHERE id = ANY(%(flows)s) AND status = 'paused' FOR SHARE SKIP LOCKED
    )
    UPDATE activities SET held = true WHERE id = ANY(%(ids)s) AND flow_id IN (SELECT id FROM still_paused)
"""

LEASE = """
    UPDATE activities a
       SET status = 'running', attempts = a.attempts + 1, worker = %(worker)s, started_at = coalesce(a.started_at,
       clock_timestamp()),
           lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
     WHERE a.id = ANY(%(ids)s) AND a.status = 'pending'
 RETURNING a.id, a.tenant_id, a.flow_id, a.instance_id, a.node_id, a.kind, a.target, a.input, a.idempotency_key,
 a.policy, a.attempts, a.saga_id, a.lane
"""

RENEW = """
    UPDATE activities SET lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
     WHERE id = ANY(%(ids)s) AND status = 'running' AND worker = %(worker)s
"""

# Records outcomes, fenced by the attempt: a late one, of an attempt that was given up or cancelled, changes nothing and
# is not returned.
RECORD = """
    UPDATE activities a
       SET status = n.status, result = n.result, error = n.error, lease_until = NULL, deaths = 0,
           due_at = CASE WHEN n.status = 'pending'
                         THEN clock_timestamp() + make_interval(secs => n.pause) ELSE a.due_at END,
           completed_at = CASE WHEN n.status = 'pending' THEN NULL ELSE clock_timestamp() END
      FROM jsonb_to_recordset(%s::jsonb) AS n(id uuid, attempt int, status text, result jsonb, error jsonb,
      pause float8)
     WHERE a.id = n.id AND a.status = 'running' AND a.attempts = n.attempt
 RETURNING a.id
"""

FIND_EXPIRED = """
    SELECT id, tenant_id, flow_id, instance_id, node_id, kind, target, input, idempotency_key, policy, attempts,
    saga_id, lane, deaths FROM activities
     WHERE status = 'running' AND lease_until < clock_timestamp() ORDER BY id LIMIT 500
"""
GIVE_UP = """
    UPDATE activities a
       SET status = n.status, error = n.error, lease_until = NULL, deaths = a.deaths + 1,
           due_at = CASE WHEN n.status = 'pending' THEN clock_timestamp() ELSE a.due_at END
      FROM jsonb_to_recordset(%s::jsonb) AS n(id uuid, attempt int, status text, error jsonb)
     WHERE a.id = n.id AND a.status = 'running' AND a.attempts = n.attempt AND a.lease_until < clock_timestamp()
 RETURNING a.id
"""

IS_PENDING = """
    SELECT 1 FROM activities WHERE status = 'pending' AND NOT held AND due_at <= clock_timestamp() LIMIT 1
"""

HAS_SUSPECTS = """
    SELECT 1 FROM activities WHERE status = 'pending' AND NOT held AND due_at <= clock_timestamp()
        AND deaths > 0 LIMIT 1
"""


def take(limit: int, worker: str) -> list[Lease]:
    """Lease up to `limit` activities that are due."""
    return take_by(FIND, {"limit": limit}, worker)


def take_suspect(worker: str) -> list[Lease]:
    """Lease one that has a death on it; the caller runs nothing beside it."""
    return take_by(FIND_SUSPECT, {}, worker)


def renew(leases: Sequence[Lease], worker: str) -> None:
    """Say that this process still works on these."""
    execute(RENEW, {"ids": [lease.id for lease in leases], "worker": worker, "lease": engine_settings().lease_s})


def judge(lease: Lease, outcome: Outcome) -> Ended:
    """Decide, by the activity's policy, what becomes of it after an attempt."""
    if not isinstance(outcome, Completed | Branched | Failed):
        outcome = Failed("An activity must answer Completed, Branched or Failed.", retryable=False)
    if isinstance(outcome, Failed):
        status = verdict_on(outcome, lease.policy, lease.attempt)
        return Ended(
            lease, outcome, status, pause_before(lease.attempt, outcome, lease.policy) if status == "pending" else 0.0
        )
    return Ended(lease, outcome, "completed")


def record(ended: Sequence[Ended], metadata: JSON) -> None:
    """
    Record outcomes and make their instances runnable, in one transaction.

    A result that cannot be stored is its own activity's failure: the batch is halved until the culprit stands alone.
    """
    try:
        with transaction.atomic(durable=True):
            _record(ended, metadata)
    except batch.CULPABLE as error:
        if len(ended) == 1:
            failure = Failed(
                values.storable(f"The result could not be stored: {error}", 500),
                code="invalid_result",
                retryable=False,
            )
            with transaction.atomic(durable=True):
                _record([judge(ended[0].lease, failure)], metadata)
            return
        middle = len(ended) // 2
        record(ended[:middle], metadata)
        record(ended[middle:], metadata)


def reclaim(metadata: JSON) -> int:
    """Hand on what dead workers held; whoever took several along with it is parked as quarantined."""
    found = execute(FIND_EXPIRED).fetchall()
    if not found:
        return 0
    given_up = [_give_up(row) for row in found]
    with transaction.atomic(durable=True):
        _append(given_up, GIVE_UP, metadata)
        bells.ring_on_commit(Bell.ACTIVITIES)
    return len(given_up)


def is_pending() -> bool:
    """Whether any activity is due: one look at an index."""
    return execute(IS_PENDING).fetchone() is not None


def has_suspects() -> bool:
    """Whether one waits that was running when a worker died."""
    return execute(HAS_SUSPECTS).fetchone() is not None


def take_by(statement: str, parameters: JSON, worker: str) -> list[Lease]:
    """Lease what a statement finds and locks: rows of (id, flow_id, whether the flow is paused)."""
    with transaction.atomic(durable=True):
        found = execute(statement, parameters).fetchall()
        paused = [row for row in found if row[2]]
        if paused:
            execute(HOLD, {"ids": [row[0] for row in paused], "flows": [row[1] for row in paused]})
        ids = [row[0] for row in found if not row[2]]
        if not ids:
            return []
        leased = execute(LEASE, {"ids": ids, "worker": worker, "lease": engine_settings().lease_s}).fetchall()
    places = {key: place for place, key in enumerate(ids)}
    return [_lease(row) for row in sorted(leased, key=lambda row: places[row[0]])]


def _lease(row: Sequence[Any]) -> Lease:
    before, key, after = row[:7], row[8], row[10:13]
    return Lease(*before, orjson.loads(row[7]), key, _policy(row[9]), *after)  # type: ignore[call-arg]  # LEASE's columns


# Most leases have one of a few policies, and nobody changes them.
@lru_cache(maxsize=1024)
def _policy(text: str) -> JSON:
    found: JSON = orjson.loads(text)
    return found


def _give_up(row: Sequence[Any]) -> Ended:
    lease, deaths = _lease(row), row[13] + 1
    if deaths >= engine_settings().max_deaths:
        return Ended(
            lease, Failed(f"Its worker process died {deaths} times.", code="quarantined", retryable=False), "parked"
        )
    failure = Failed("Its worker died; the outcome is unknown.", code="worker_lost", unknown=True)
    return Ended(lease, failure, "parked" if lease.policy["on_unknown"] == "park" else "pending")


def _record(ended: Sequence[Ended], metadata: JSON) -> None:
    _append(ended, RECORD, metadata)
    if any(each.lease.instance_id for each in ended):
        bells.ring_on_commit(Bell.ADVANCE)


# Instances first, in the order of their ids, then activities: whoever loses the fence is left out. A success only wakes
# its instance, whose next look takes it up: that look appends the event together with all that follows from it. A
# failure, and whatever concerns a run that is not under way, is appended at once.
def _append(ended: Sequence[Ended], statement: str, metadata: JSON) -> None:
    concerned = {each.lease.instance_id for each in ended if each.lease.instance_id}
    succeeded = {each.lease.instance_id for each in ended if each.lease.instance_id and each.status == "completed"}
    owned = [each.news for each in ended if each.lease.kind != "node"]
    locked = wakes.lock_and_wake(concerned, succeeded)
    under_way = {key for key, status in locked.items() if status in ("running", "waiting")}
    activity_owners.lock(owned)
    changed = {row[0] for row in execute(statement, [_document(ended)]).fetchall()}
    rest = [each for each in ended if each.lease.id in changed]
    rest = [each for each in rest if each.status != "completed" or each.lease.instance_id not in under_way]
    _append_events(rest, metadata)
    activity_owners.tell([each for each in owned if each.activity_id in changed], metadata)


def _append_events(ended: Sequence[Ended], metadata: JSON) -> None:
    if not ended:
        return
    found = rows.lock({each.lease.instance_id for each in ended if each.lease.instance_id})
    now = clock.now()
    bursts: dict[str, Burst] = {}
    for each in ended:
        row = found.get(each.lease.instance_id or "")
        if row is not None:
            burst = bursts.get(row.id) or bursts.setdefault(row.id, batch.open_burst(row, now))
            append_outcome(burst, each)
    write.batch([burst for burst in bursts.values() if burst.events], metadata=metadata)


def _document(ended: Sequence[Ended]) -> str:
    records = [
        {
            "id": each.lease.id,
            "attempt": each.lease.attempt,
            "status": each.status,
            "result": each.result,
            "error": each.error,
            "pause": each.pause_s,
        }
        for each in ended
    ]
    return orjson.dumps(records).decode()


def append_outcome(burst: Burst, ended: Ended) -> None:
    """Tell an instance what became of an activity; a token that has gone on does not hear of it."""
    lease = ended.lease
    token = burst.state.tokens.get(lease.node_id)
    if token is None or token["activity"] != lease.id:
        return
    data: JSON = {"node": lease.node_id, "activity": lease.id, "attempt": lease.attempt}
    if ended.status == "completed":
        burst.record("activity_completed", data | {"outcome": ended.result})
    else:
        data |= {"error": ended.error, "final": ended.status == "failed", "parked": ended.status == "parked"}
        burst.record("activity_failed", data)
