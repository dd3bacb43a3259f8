"""What is already in the inbox when a wait begins, read under the lock of its participant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from engine.connections import execute
from engine.execution import hearing
from engine.execution.burst import Burst
from engine.expressions import parse
from engine.moments import iso

# Only tries: whoever routes this participant's events right now goes first, and the instance stays runnable.
TRY_PARTICIPANTS = """
    SELECT key FROM (SELECT DISTINCT unnest(%s::text[]) AS key ORDER BY 1) AS keys
     WHERE pg_try_advisory_xact_lock(hashtextextended('participant:' || key, 0))
"""

# Candidates in the order in which they count; the wait's own filter picks among them.
EARLIER = """
    SELECT w.instance_id, w.node_id, e.event_id, e.event_type, e.data, e.occurred_at
      FROM jsonb_to_recordset(%s::jsonb) AS w(
           instance_id text, node_id text, tenant_id uuid, participant_id text, event_types text[],
           cut timestamptz, until timestamptz)
     CROSS JOIN LATERAL (
        SELECT * FROM inbound_events e
         WHERE e.tenant_id = w.tenant_id AND e.participant_id = w.participant_id AND e.event_type = ANY(w.event_types)
           AND e.occurred_at >= w.cut AND (w.until IS NULL OR e.occurred_at <= w.until)
         ORDER BY e.occurred_at, e.received_at, e.id
         LIMIT 200
      ) AS e
"""


@dataclass(frozen=True, slots=True)
class Glance:
    """One wait that looks back."""

    instance_id: str
    node_id: str
    tenant_id: str
    participant_id: str
    event_types: tuple[str, ...]
    cut: datetime
    until: datetime | None


def participant_key(tenant_id: str, participant_id: str) -> str:
    """Name a participant for its advisory lock."""
    return f"{tenant_id}:{participant_id}"


def try_participants(keys: Iterable[str]) -> set[str]:
    """Try the locks of participants and give those that were got; the transaction's end gives them back."""
    wanted = sorted(set(keys))
    return {row[0] for row in execute(TRY_PARTICIPANTS, [wanted]).fetchall()} if wanted else set()


def earlier_events(glances: list[Glance]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Find events that came before the wait, oldest first, by (instance, node)."""
    if not glances:
        return {}
    document = orjson.dumps(
        [
            {
                "instance_id": glance.instance_id,
                "node_id": glance.node_id,
                "tenant_id": glance.tenant_id,
                "participant_id": glance.participant_id,
                "event_types": glance.event_types,
                "cut": glance.cut,
                "until": glance.until,
            }
            for glance in glances
        ]
    ).decode()
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for instance_id, node_id, event_id, event_type, data, occurred_at in execute(EARLIER, [document]).fetchall():
        event = {
            "event_id": event_id,
            "event_type": event_type,
            "data": orjson.loads(data),
            "occurred_at": iso(occurred_at),
        }
        found.setdefault((instance_id, node_id), []).append(event)
    return found


def first_match(burst: Burst, raw_filter: dict[str, Any] | None, events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Give the first of these events that passes a wait's filter and that the run has not used already."""
    rule = parse(raw_filter or {})
    for event in events:
        if not burst.has_used(event["event_id"]) and rule.matches(hearing.scope_of(burst, event["data"])):
            return event
    return None
