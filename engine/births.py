"""The statement by which instances begin: their rows and their first events; nothing for those who are in already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from engine.connections import execute
from engine.event_store.events import INSTANCE
from engine.execution.state import InstanceState
from engine.execution.write import new_id
from flows.models.instance import LIVE

LIVE_SQL = ", ".join(f"'{status.value}'" for status in sorted(LIVE))

# A row that would be a second live one of its key is left out; the partial unique index decides, under any concurrency.
# The records come sorted by their key, against deadlocks.
WRITE = f"""
    WITH tx AS (SELECT log_place(pg_current_xact_id()) AS id),
    n AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(records)s::jsonb) AS n(
           id uuid, event_id uuid, tenant_id uuid, flow_id uuid, version_id uuid, participant_id text,
           correlation_key text, live_key text, current_nodes jsonb, context jsonb, priority smallint, data jsonb,
           cause jsonb)),
    born AS (
    INSERT INTO flow_instances (id, tenant_id, flow_id, version_id, participant_id, correlation_key, live_key, status,
                                current_nodes, context, step_count, entered_at, updated_at, exit_reason, sequence,
                                priority, runnable, deaths, log_tx)
    SELECT n.id, n.tenant_id, n.flow_id, n.version_id, n.participant_id, n.correlation_key, n.live_key, 'running',
           n.current_nodes, n.context, 0, %(at)s, %(at)s, '', 1, n.priority, true, 0, tx.id
      FROM n, tx
    ON CONFLICT (tenant_id, flow_id, participant_id, live_key) WHERE status IN ({LIVE_SQL}) DO NOTHING
 RETURNING id),
    logged AS (
    INSERT INTO stored_events (event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, data, metadata,
                               recorded_at, tx)
    SELECT n.event_id, n.tenant_id, '{INSTANCE}', n.id, 1, 'flow_started', n.data,
           %(metadata)s::jsonb || coalesce(n.cause, '{{}}'), %(at)s, tx.id
      FROM tx, n JOIN born ON born.id = n.id)
    SELECT id FROM born
"""

FIND_LIVE = f"""
    SELECT i.participant_id, i.live_key, i.id FROM flow_instances i
      JOIN unnest(%(participants)s::text[], %(keys)s::text[]) AS n(participant_id, live_key)
        ON i.participant_id = n.participant_id AND i.live_key = n.live_key
     WHERE i.tenant_id = %(tenant)s AND i.flow_id = %(flow)s AND i.status IN ({LIVE_SQL})
"""


@dataclass(frozen=True, slots=True)
class Newborn:
    """An instance that is to begin, and the data of its `flow_started` as JSON."""

    state: InstanceState
    event_data: bytes
    priority: int
    cause: dict[str, object] = field(default_factory=dict)

    def as_record(self) -> dict[str, object]:
        """Give what the statement reads."""
        new = self.state
        record = {
            "id": new.id,
            "event_id": new_id(),
            "tenant_id": new.tenant_id,
            "flow_id": new.flow_id,
            "version_id": new.version_id,
            "participant_id": new.participant_id,
            "correlation_key": new.correlation_key,
            "live_key": new.live_key,
            "current_nodes": new.current_nodes,
            "context": new.context,
            "priority": self.priority,
            "data": orjson.Fragment(self.event_data),
        }
        return record | {"cause": self.cause} if self.cause else record


def write(newborns: Sequence[Newborn], *, at: datetime, metadata: bytes) -> set[str]:
    """Write instances and their first events in one statement; give the ids of those that are in."""
    records = orjson.dumps([newborn.as_record() for newborn in newborns]).decode()
    parameters = {"records": records, "at": at, "metadata": metadata.decode()}
    return {row[0] for row in execute(WRITE, parameters).fetchall()}


def find_live(tenant_id: str, flow_id: str, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Give the live instance, where there is one, by participant and live key."""
    parameters = {
        "tenant": tenant_id,
        "flow": flow_id,
        "participants": [participant_id for participant_id, _ in keys],
        "keys": [live_key for _, live_key in keys],
    }
    return {(row[0], row[1]): row[2] for row in execute(FIND_LIVE, parameters).fetchall()}
