"""Consents as they stand, and each change of them in the audit: for many at once, in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from engine.connections import execute
from marketing.models import Consent
from tenants.ids import uuid7

JSON = dict[str, Any]
STATUSES = frozenset(Consent.Status.values)

# What stood before is read in the same statement that writes, under the row's lock; the same again is no change.
RECORD = """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(said)s::jsonb) AS g(id uuid, audit uuid, participant_id text, topic text,
               status text, source text, at timestamptz)
    ), before AS (
        SELECT c.participant_id, c.topic, c.status FROM consents c JOIN given g USING (participant_id, topic)
         WHERE c.tenant_id = %(tenant)s ORDER BY c.participant_id, c.topic FOR UPDATE OF c
    ), written AS (
        INSERT INTO consents (id, tenant_id, participant_id, topic, status, source, at)
        SELECT id, %(tenant)s, participant_id, topic, status, source, at FROM given ORDER BY participant_id, topic
            ON CONFLICT (tenant_id, participant_id, topic)
            DO UPDATE SET status = EXCLUDED.status, source = EXCLUDED.source, at = EXCLUDED.at
    )
    INSERT INTO consent_changes (id, tenant_id, participant_id, channel, topic, before, after, source, actor, at)
    SELECT g.audit, %(tenant)s, g.participant_id, '', g.topic, coalesce(b.status, ''), g.status, g.source, %(actor)s,
           g.at
      FROM given g LEFT JOIN before b USING (participant_id, topic)
     WHERE b.status IS DISTINCT FROM g.status
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What one participant has said of one topic."""

    participant_id: str
    topic: str
    status: str
    source: str
    at: datetime


def said(participant_id: str, topic: str, parts: JSON, source: str, now: datetime) -> Said:
    """Read the parts of a consent as a flow writes them: `status`, and perhaps `source` and `at`."""
    at = _moment(parts.get("at")) or now
    return Said(participant_id, topic, str(parts.get("status")), str(parts.get("source") or source)[:255], at)


def record_many(tenant_id: Any, given: Sequence[Said], *, actor: str = "") -> None:
    """Write consents and their audit; of several of one participant and topic the last counts."""
    last = {(each.participant_id, each.topic): each for each in given}
    if not last:
        return
    rows = [
        {
            "id": str(uuid7()),
            "audit": str(uuid7()),
            "participant_id": each.participant_id,
            "topic": each.topic,
            "status": each.status,
            "source": each.source,
            "at": each.at.isoformat(),
        }
        for each in last.values()
    ]
    execute(RECORD, {"tenant": str(tenant_id), "said": orjson.dumps(rows).decode(), "actor": actor[:255]})


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found
