"""The way in for events: one statement makes a batch durable, and who sends twice is told so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from engine import bells, clock, errors, event_form
from engine.bells import Bell
from engine.connections import execute
from engine.event_form import Incoming
from engine.execution import write
from tenants import jsontext
from tenants.errors import Invalid, InvalidInput
from tenants.models import Tenant

JSON = dict[str, Any]

# The records come sorted by event_id, so that two batches with the same events wait for each other in one order.
STORE = """
    INSERT INTO inbound_events (id, tenant_id, event_id, participant_id, event_type, data, occurred_at,
                                occurred_as_sent, received_at, source, flow_id, entry_node, causation_depth,
                                correlation_id, effects)
    SELECT n.id, %(tenant)s, n.event_id, n.participant_id, n.event_type, n.data, coalesce(n.occurred_at, %(now)s),
           n.as_sent, %(now)s, coalesce(n.source, 'api'), n.flow_id, coalesce(n.entry_node, ''), coalesce(n.depth, 0),
           coalesce(n.correlation, %(correlation)s), '[]'
      FROM jsonb_to_recordset(%(records)s::jsonb) AS n(
           id uuid, event_id text, participant_id text, event_type text, data jsonb, occurred_at timestamptz,
           as_sent timestamptz, source text, flow_id uuid, entry_node text, depth smallint, correlation text)
    ON CONFLICT (tenant_id, event_id) DO NOTHING
"""

# Which of the records are not the stored ones, and whether they say the same.
FIND_DUPLICATES = """
    SELECT n.id, (e.participant_id, e.event_type, e.data) IS DISTINCT FROM (n.participant_id, n.event_type, n.data)
      FROM jsonb_to_recordset(%(records)s::jsonb) AS n(
           id uuid, event_id text, participant_id text, event_type text, data jsonb)
      JOIN inbound_events e ON e.tenant_id = %(tenant)s AND e.event_id = n.event_id AND e.id <> n.id
"""


@dataclass(slots=True)
class Received:
    """What became of an event: stored, or known already; a duplicate may say something else than the first one did."""

    event_id: str
    duplicate: bool = False
    payload_mismatch: bool = False


def publish_event(  # noqa: PLR0913  # one keyword for each thing that can be said of an event
    participant_id: str,
    event_type: str,
    *,
    data: JSON | None = None,
    event_id: str | None = None,
    occurred_at: datetime | None = None,
    tenant: Tenant | UUID | str,
    source: str = "python",
    causation_depth: int = 0,
    correlation_id: str = "",
) -> Received:
    """
    Tell the engine what happened to a participant; it is stored with the caller's transaction, where there is one.

    An event_id that is known already changes nothing. Raises InvalidEvent for what the API would refuse.
    """
    sent = {"participant_id": participant_id, "event_type": event_type, "event_id": event_id, "data": data}
    raw = {name: value for name, value in sent.items() if value is not None or name in event_form.REQUIRED}
    try:
        event = event_form.read(jsontext.loads(orjson.dumps(raw)))
    except Invalid as invalid:
        raise errors.InvalidEvent(f"{invalid.attr}: {invalid.detail}", attr=invalid.attr) from invalid
    except (InvalidInput, TypeError) as invalid:
        raise errors.InvalidEvent(str(invalid)) from invalid
    if occurred_at is not None and occurred_at.utcoffset() is None:
        raise errors.InvalidEvent("occurred_at: a time needs its zone.", attr="occurred_at")
    event.occurred_at, event.source = occurred_at, source
    event.causation_depth, event.correlation_id = causation_depth, correlation_id
    (received,) = receive(tenant.pk if isinstance(tenant, Tenant) else tenant, [event])
    return received


def receive(tenant_id: UUID | str, events: Sequence[Incoming], *, correlation_id: str = "") -> list[Received]:
    """
    Store a tenant's events in the caller's transaction, where there is one; give what became of each, in order.

    `correlation_id` is that of the events that have none of their own.
    """
    if not events:
        return []
    now = clock.now()
    latest = now + event_form.AHEAD
    records = [_record(event, latest) for event in events]
    received = [Received(record["event_id"]) for record in records]
    # Stable: of two with the same id in one batch, the first is stored.
    ordered = sorted(records, key=_by_event_id)
    parameters = {
        "tenant": tenant_id,
        "now": now,
        "records": orjson.dumps(ordered).decode(),
        "correlation": correlation_id,
    }
    stored = execute(STORE, parameters).rowcount
    if stored < len(records):
        _mark_duplicates(records, received, parameters)
    if stored:
        bells.ring_on_commit(Bell.ROUTE)
    return received


def _by_event_id(record: JSON) -> str:
    event_id: str = record["event_id"]
    return event_id


# The rarely used columns are left out of most records; the statement knows their defaults.
def _record(event: Incoming, latest: datetime) -> JSON:
    new_id = write.new_id()
    record: JSON = {
        "id": new_id,
        "event_id": event.event_id or new_id,
        "participant_id": event.participant_id,
        "event_type": event.event_type,
        "data": event.data,
    }
    if event.occurred_at is not None:
        record["occurred_at"] = min(event.occurred_at, latest)
        if event.occurred_at > latest:
            record["as_sent"] = event.occurred_at
    if event.source != "api":
        record["source"] = event.source
    if event.flow_id is not None:
        record["flow_id"], record["entry_node"] = event.flow_id, event.entry_node
    if event.causation_depth:
        record["depth"] = event.causation_depth
    if event.correlation_id:
        record["correlation"] = event.correlation_id
    return record


def _mark_duplicates(records: list[JSON], received: list[Received], parameters: JSON) -> None:
    found: dict[str, bool] = dict(execute(FIND_DUPLICATES, parameters).fetchall())
    for record, each in zip(records, received, strict=True):
        mismatch = found.get(record["id"])
        if mismatch is not None:
            each.duplicate, each.payload_mismatch = True, mismatch
