"""
The batch's statements: what a few set-based writes make of what happened in memory.

COPY for what is only ever added, one UPDATE for the instances, guarded by the status and sequence each was read with
and by the table of
transitions. All in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson
import uuid_utils

from engine import connections
from engine.connections import escaped, execute, one
from engine.event_store.events import INSTANCE
from engine.execution import effects, few, moves
from engine.execution.burst import Burst

JSON = dict[str, Any]

COPY_EVENTS = """
    COPY stored_events (event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, data, metadata,
    recorded_at, tx) FROM STDIN
"""
COPY_STEPS = """
    COPY execution_steps (id, tenant_id, instance_id, n, node_id, node_type, version, attempt, status, branch,
    input, output, error,
                          started_at, completed_at) FROM STDIN
"""
COPY_TIMERS = "COPY timers (id, tenant_id, instance_id, node_id, due_at, held) FROM STDIN"
COPY_SUBSCRIPTIONS = """
    COPY event_subscriptions (id, tenant_id, participant_id, event_type, kind, instance_id, node_id, filter, since,
    until) FROM STDIN
"""
COPY_ACTIVITIES = """
    COPY activities (id, tenant_id, flow_id, instance_id, node_id, kind, target, input, idempotency_key, policy,
    status, attempts, due_at,
                     worker, held, deaths, created_at, rank) FROM STDIN
"""

# Moves each instance of a batch that is still where the batch found it. Whoever is missing from RETURNING was moved by
# someone else.
MOVE = f"""
    UPDATE flow_instances i SET {moves.SETS}, log_tx = n.log_tx
      FROM jsonb_to_recordset(%s::jsonb) AS n({moves.FIELDS})
     WHERE {moves.GUARD}
 RETURNING i.id
"""

# Moves steps of earlier batches on; a step that is already closed stays as it is.
MOVE_STEPS = """
    UPDATE execution_steps s
       SET status = n.status, branch = n.branch, output = n.output, error = n.error, completed_at = n.completed_at
      FROM jsonb_to_recordset(%s::jsonb) AS n(instance_id uuid, n int, status text, branch text, output jsonb,
      error jsonb, completed_at timestamptz)
     WHERE s.instance_id = n.instance_id AND s.n = n.n AND s.status IN ('running', 'waiting')
"""

DISARM_TIMERS = """
    DELETE FROM timers t USING unnest(%s::uuid[], %s::text[]) AS gone(instance_id, node_id)
     WHERE t.instance_id = gone.instance_id AND t.node_id = gone.node_id
"""
DISARM_SUBSCRIPTIONS = """
    DELETE FROM event_subscriptions s USING unnest(%s::uuid[], %s::text[]) AS gone(instance_id, node_id)
     WHERE s.instance_id = gone.instance_id AND s.node_id = gone.node_id AND s.kind = 'wait'
"""
DROP_TIMERS = "DELETE FROM timers WHERE instance_id = ANY(%s)"
DROP_WAITS = "DELETE FROM event_subscriptions WHERE instance_id = ANY(%s) AND kind = 'wait'"
DROP_SUBSCRIPTIONS = "DELETE FROM event_subscriptions WHERE instance_id = ANY(%s) AND kind <> 'goal'"
# What is parked would wait for an operator for ever once its run has ended.
CANCEL_ACTIVITIES = """
    UPDATE activities
       SET status = CASE status WHEN 'parked' THEN 'failed' ELSE 'cancelled' END,
           lease_until = NULL, completed_at = clock_timestamp()
     WHERE instance_id = ANY(%s) AND status IN ('pending', 'running', 'parked')
"""
# Also the running ones: an attempt that fails is not repeated until its run goes on.
HOLD_ACTIVITIES = "UPDATE activities SET held = true WHERE instance_id = ANY(%s) AND status IN ('pending', 'running')"

copy = connections.copy
line = connections.line

CURRENT_TX = "SELECT log_place(pg_current_xact_id())"
# The claims go with what they announced; the transaction's id comes along.
CLOSE = "WITH gone AS (DELETE FROM batch_claims WHERE id = ANY(%s::uuid[])) SELECT log_place(pg_current_xact_id())"


# Who goes on with instances that were just written as failed; called in the same transaction.
on_failed: list[Callable[[Sequence[Burst], dict[str, Any]], None]] = []


class MovedElsewhere(Exception):
    """A row was not where the batch had found it; the batch is undone."""


def batch(bursts: Sequence[Burst], *, metadata: dict[str, Any], closing: Sequence[str] = ()) -> None:
    """
    Write everything that the bursts gathered, and delete the claims that are `closing` with it.

    Raises MovedElsewhere if the guard of any row did not hold.
    """
    moved = [burst for burst in bursts if burst.events]
    if not moved:
        if closing:
            execute(CLOSE, [list(closing)])
        return
    write = few.write if len(moved) <= few.MOST else _write_many
    found = write(moved, metadata, closing)
    if found != len(moved):
        raise MovedElsewhere(f"{len(moved) - found} of {len(moved)} instances were not where they had been read.")
    _move_steps(moved)
    _disarm(moved)
    _close(moved)
    copy(COPY_TIMERS, _timer_rows(moved))
    copy(COPY_SUBSCRIPTIONS, _subscription_rows(moved))
    copy(COPY_ACTIVITIES, _activity_rows(moved))
    effects.write(moved)
    effects.withdraw(moved)
    if failed := [burst for burst in moved if burst.state.status == "failed"]:
        for go_on in on_failed:
            go_on(failed, metadata)


def _write_many(bursts: Sequence[Burst], metadata: JSON, closing: Sequence[str]) -> int:
    tx = int(one(CLOSE, [list(closing)])) if closing else current_tx()
    copy(COPY_EVENTS, _event_rows(bursts, tx, metadata))
    copy(COPY_STEPS, _step_rows(bursts))
    return execute(MOVE, [orjson.dumps([moves.record(burst) for burst in bursts]).decode()]).rowcount


def current_tx() -> int:
    """Give the transaction's id; an event's `tx` is the greater of it and its aggregate's last."""
    return int(one(CURRENT_TX))


def new_id() -> str:
    """Make an id as text: the write path has no use for UUID objects."""
    return str(uuid_utils.uuid7())


# --- rows ---


def _event_rows(bursts: Iterable[Burst], tx: int, metadata: JSON) -> Iterator[str]:
    common = _json(metadata)
    for burst in bursts:
        meta = _json(metadata | burst.cause) if burst.cause else common
        state, at = burst.state, burst.now.isoformat()
        burst.log_tx = position = max(tx, burst.log_tx)
        before, after = f"{state.tenant_id}\t{INSTANCE}\t{state.id}", f"{meta}\t{at}\t{position}\n"
        for event, data in burst.events:
            yield f"{new_id()}\t{before}\t{event.sequence}\t{event.type}\t{escaped(data.decode())}\t{after}"


def _step_rows(bursts: Iterable[Burst]) -> Iterator[str]:
    for burst in bursts:
        state = burst.state
        owner, now = f"{state.tenant_id}\t{state.id}", burst.now.isoformat()
        for row in burst.steps.values():
            if not row.moved:
                ended = "\\N" if row.completed_at is None else now
                yield (
                    f"{new_id()}\t{owner}\t{row.n}\t{row.node_id}\t{row.node_type}\t{state.version}\t{row.attempt}\t{row.status}\t"
                    f"{escaped(row.branch)}\t{_json(row.input)}\t{_json(row.output)}\t{_json(row.error)}\t{now}\t{ended}\n"
                )


def _timer_rows(bursts: Iterable[Burst]) -> Iterator[str]:
    for burst in bursts:
        for row in burst.timers.values():
            yield line(new_id(), burst.state.tenant_id, burst.state.id, row.node_id, row.due_at, False)


def _subscription_rows(bursts: Iterable[Burst]) -> Iterator[str]:
    for burst in bursts:
        state = burst.state
        for row in burst.subscriptions:
            yield line(
                new_id(), state.tenant_id, state.participant_id, row.event_type, row.kind, state.id, row.node_id,
                as_json(row.filter),
                row.since, row.until,
            )  # fmt: skip


def _activity_rows(bursts: Iterable[Burst]) -> Iterator[str]:
    wall = None
    # A node's policy is the same one for all who come to it.
    policies: dict[int, str] = {}
    for burst in bursts:
        state = burst.state
        owner, held = f"{state.tenant_id}\t{state.flow_id}\t{state.id}", "t" if burst.frozen else "f"
        rank = burst.program.settings.rank
        for row in burst.activities:
            wall = wall or _wall_now().isoformat()
            policy = policies.get(id(row.policy)) or policies.setdefault(id(row.policy), _json(row.policy))
            yield (
                f"{row.id}\t{owner}\t{row.node_id}\t{row.kind}\t{escaped(row.target)}\t{_json(row.input)}\t"
                f"{escaped(row.key)}\t{policy}\tpending\t0\t{wall}\t\t{held}\t0\t{wall}\t{rank}\n"
            )


# --- updates ---


def _move_steps(bursts: Sequence[Burst]) -> None:
    records = [
        {
            "instance_id": burst.state.id,
            "n": row.n,
            "status": row.status,
            "branch": row.branch,
            "output": row.output,
            "error": row.error,
            "completed_at": row.completed_at,
        }
        for burst in bursts
        for row in burst.steps.values()
        if row.moved
    ]
    if records:
        execute(MOVE_STEPS, [orjson.dumps(records).decode()])


def _disarm(bursts: Sequence[Burst]) -> None:
    gone = [(burst.state.id, node_id) for burst in bursts for node_id in burst.disarmed if not burst.ended]
    if gone:
        instances, nodes = [pair[0] for pair in gone], [pair[1] for pair in gone]
        execute(DISARM_TIMERS, [instances, nodes])
        execute(DISARM_SUBSCRIPTIONS, [instances, nodes])


def _close(bursts: Sequence[Burst]) -> None:
    ended = [burst.state.id for burst in bursts if burst.ended and burst.had_waits]
    frozen = [burst.state.id for burst in bursts if burst.frozen and burst.had_waits]
    if ended or frozen:
        execute(DROP_TIMERS, [ended + frozen])
    if ended:
        execute(DROP_SUBSCRIPTIONS, [ended])
        execute(CANCEL_ACTIVITIES, [ended])
    if frozen:
        execute(DROP_WAITS, [frozen])
        execute(HOLD_ACTIVITIES, [frozen])


def as_json(value: Any) -> str | None:
    """Give a value as JSON text, and None as the column's null."""
    return None if value is None else orjson.dumps(value).decode()


# A column of JSON as COPY wants it; most are empty.
def _json(value: JSON | None) -> str:
    if value is None:
        return "\\N"
    return escaped(orjson.dumps(value).decode()) if value else "{}"


# Activities run by the wall, whatever the engine's clock says.
def _wall_now() -> datetime:
    found: datetime = one("SELECT clock_timestamp()")
    return found
