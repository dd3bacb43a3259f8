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
from engine.execution.burst import Burst
from flows.models import FlowInstance

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
                     worker, held, deaths, created_at) FROM STDIN
"""

# Moves each instance of a batch that is still where the batch found it. Whoever is missing from RETURNING was moved by
# someone else.
MOVE = f"""
    UPDATE flow_instances i
       SET status = n.status, current_nodes = n.current_nodes, context = coalesce(n.context, i.context),
           step_count = n.step_count, updated_at = n.updated_at, completed_at = n.completed_at, exited_at = n.exited_at,
           exit_reason = n.exit_reason, error = n.error, sequence = n.sequence, log_tx = n.log_tx, deaths = n.deaths,
           runnable = n.runnable OR (n.keeps_mark AND i.runnable AND n.status IN ('running', 'waiting'))
      FROM jsonb_to_recordset(%s::jsonb) AS n(
           id uuid, was text, previous bigint, status text, current_nodes jsonb, context jsonb, step_count int,
           updated_at timestamptz, completed_at timestamptz, exited_at timestamptz, exit_reason text, error jsonb,
           sequence bigint, runnable boolean, log_tx bigint, deaths smallint, keeps_mark boolean)
     WHERE i.id = n.id AND i.status = n.was AND i.sequence = n.previous
         AND (n.was, n.status) IN ({FlowInstance.TRANSITIONS.pairs_sql()})
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
    UPDATE activities SET status = 'cancelled', lease_until = NULL, completed_at = clock_timestamp()
     WHERE instance_id = ANY(%s) AND status IN ('pending', 'running', 'parked')
"""
# Also the running ones: an attempt that fails is not repeated until its run goes on.
HOLD_ACTIVITIES = "UPDATE activities SET held = true WHERE instance_id = ANY(%s) AND status IN ('pending', 'running')"

copy = connections.copy
line = connections.line

CURRENT_TX = "SELECT pg_current_xact_id()::text::bigint"


# Who goes on with instances that were just written as failed; called in the same transaction.
on_failed: list[Callable[[Sequence[Burst], dict[str, Any]], None]] = []


class MovedElsewhere(Exception):
    """A row was not where the batch had found it; the batch is undone."""


def batch(bursts: Sequence[Burst], *, metadata: dict[str, Any]) -> None:
    """Write everything that the bursts gathered; raise MovedElsewhere if the guard of any row did not hold."""
    moved = [burst for burst in bursts if burst.events]
    if not moved:
        return
    tx = current_tx()
    copy(COPY_EVENTS, _event_rows(moved, tx, metadata))
    copy(COPY_STEPS, _step_rows(moved))
    _move_instances(moved)
    _move_steps(moved)
    _disarm(moved)
    _close(moved)
    copy(COPY_TIMERS, _timer_rows(moved))
    copy(COPY_SUBSCRIPTIONS, _subscription_rows(moved))
    copy(COPY_ACTIVITIES, _activity_rows(moved))
    if failed := [burst for burst in moved if burst.state.status == "failed"]:
        for go_on in on_failed:
            go_on(failed, metadata)


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
    for burst in bursts:
        state = burst.state
        for row in burst.activities:
            wall = wall or _wall_now()
            yield line(
                row.id, state.tenant_id, state.flow_id, state.id, row.node_id, row.kind, row.target,
                as_json(row.input), row.key,
                as_json(row.policy), "pending", 0, wall, "", burst.frozen, 0, wall,
            )  # fmt: skip


# --- updates ---


def _move_instances(bursts: Sequence[Burst]) -> None:
    document = orjson.dumps([_instance_record(burst) for burst in bursts]).decode()
    moved = execute(MOVE, [document]).rowcount
    if moved != len(bursts):
        raise MovedElsewhere(f"{len(bursts) - moved} of {len(bursts)} instances were not where they had been read.")


def _instance_record(burst: Burst) -> dict[str, Any]:
    state = burst.state
    return {
        "id": state.id,
        "was": burst.was,
        "previous": burst.previous,
        "status": state.status,
        "current_nodes": list(state.tokens.values()),
        "context": state.context if burst.context_changed else None,
        "step_count": state.step_count,
        "updated_at": state.updated_at,
        "completed_at": state.completed_at,
        "exited_at": state.exited_at,
        "exit_reason": state.exit_reason,
        "error": state.error,
        "sequence": state.sequence,
        "runnable": burst.is_runnable or (burst.recheck and state.status in ("running", "waiting")),
        "log_tx": burst.log_tx,
        "deaths": burst.deaths,
        "keeps_mark": not burst.looked,
    }


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
