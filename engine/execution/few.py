"""What a few instances did, in one statement: for them the round trips cost more than COPY spares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from engine.connections import execute
from engine.event_store.events import INSTANCE
from engine.execution import moves
from engine.execution.burst import Burst
from tenants.ids import uuid7

JSON = dict[str, Any]

# So many at most.
MOST = 8

# Events, new steps, rows and claims; an event's `tx` is the greater of this transaction and its aggregate's last one.
# Gives who was moved, and that `tx`.
WRITE = f"""
    WITH tx AS (SELECT log_place(pg_current_xact_id()) AS id),
    closed AS (
        DELETE FROM batch_claims WHERE id = ANY(%(closing)s::uuid[])
    ),
    logged AS (
        INSERT INTO stored_events (event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, data, metadata,
                                   recorded_at, tx)
        SELECT e.event_id, e.tenant_id, '{INSTANCE}', e.instance_id, e.sequence, e.type, e.data, e.metadata,
               e.recorded_at, greatest(tx.id, e.log_tx)
          FROM tx, jsonb_to_recordset(%(events)s::jsonb) AS e(
               event_id uuid, tenant_id uuid, instance_id uuid, sequence bigint, type text, data jsonb, metadata jsonb,
               recorded_at timestamptz, log_tx bigint)
         ORDER BY e.instance_id, e.sequence
    ),
    stepped AS (
        INSERT INTO execution_steps (id, tenant_id, instance_id, n, node_id, node_type, version, attempt, status,
                                     branch, input, output, error, started_at, completed_at)
        SELECT s.* FROM jsonb_to_recordset(%(steps)s::jsonb) AS s(
               id uuid, tenant_id uuid, instance_id uuid, n int, node_id text, node_type text, version int,
               attempt smallint, status text, branch text, input jsonb, output jsonb, error jsonb,
               started_at timestamptz, completed_at timestamptz)
    )
    UPDATE flow_instances i SET {moves.SETS}, log_tx = greatest(tx.id, n.log_tx)
      FROM tx, jsonb_to_recordset(%(instances)s::jsonb) AS n({moves.FIELDS})
     WHERE {moves.GUARD}
 RETURNING i.id, i.log_tx
"""


def write(bursts: Sequence[Burst], metadata: JSON, closing: Sequence[str]) -> int:
    """Write the events, new steps and rows of these, close their claims; give how many were where they had been."""
    parameters = {
        "events": [record for burst in bursts for record in _events(burst, metadata | burst.cause)],
        "steps": [record for burst in bursts for record in _steps(burst)],
        "instances": [moves.record(burst) for burst in bursts],
    }
    documents = {name: orjson.dumps(records).decode() for name, records in parameters.items()}
    moved = dict(execute(WRITE, documents | {"closing": list(closing)}).fetchall())
    for burst in bursts:
        burst.log_tx = moved.get(burst.state.id, burst.log_tx)
    return len(moved)


def _events(burst: Burst, metadata: JSON) -> Iterator[JSON]:
    state = burst.state
    for event, data in burst.events:
        yield {
            "event_id": uuid7(),
            "tenant_id": state.tenant_id,
            "instance_id": state.id,
            "sequence": event.sequence,
            "type": event.type,
            "data": orjson.Fragment(data),
            "metadata": metadata,
            "recorded_at": burst.now,
            "log_tx": burst.log_tx,
        }


def _steps(burst: Burst) -> Iterator[JSON]:
    state = burst.state
    for row in burst.steps.values():
        if not row.moved:
            yield {
                "id": uuid7(),
                "tenant_id": state.tenant_id,
                "instance_id": state.id,
                "n": row.n,
                "node_id": row.node_id,
                "node_type": row.node_type,
                "version": state.version,
                "attempt": row.attempt,
                "status": row.status,
                "branch": row.branch,
                "input": row.input,
                "output": row.output,
                "error": row.error,
                "started_at": burst.now,
                "completed_at": row.completed_at,
            }
