"""Promises as rows: made, read and taken back in the caller's transaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
from django.db import transaction

from engine import bells, clock
from engine.connections import execute
from engine.errors import UnknownFlow, UnknownScheduledWork
from engine.execution.write import new_id
from engine.models.scheduled_work import ScheduledWork
from engine.moments import iso
from engine.workflow_scheduler.form import Moment
from flows.errors import IllegalTransition

JSON = dict[str, Any]
Status = ScheduledWork.Status

MAKE = """
    WITH promise AS (
        INSERT INTO scheduled_work (id, tenant_id, kind, payload, due_at, status, created_at)
        VALUES (%(id)s, %(tenant)s, %(kind)s, %(payload)s::jsonb, %(due_at)s, 'scheduled', %(now)s)
    )
    INSERT INTO timers (id, tenant_id, instance_id, node_id, due_at, held)
    VALUES (%(id)s, %(tenant)s, NULL, '', %(due_at)s, false)
"""
KNOWS_FLOW = "SELECT 1 FROM flows WHERE id = %s AND tenant_id = %s"

# A task's activity has what came of it.
GET = """
    SELECT w.kind, w.status, w.due_at, w.result, w.error, a.status, a.result -> 'result' -> 'value', a.error
      FROM scheduled_work w LEFT JOIN activities a ON w.kind = 'task' AND a.id = (w.result ->> 'activity_id')::uuid
     WHERE w.id = %(id)s AND w.tenant_id = %(tenant)s
"""

# Whoever deletes the moment decides what becomes of the promise: the same row as where it is begun.
TAKE_BACK = "DELETE FROM timers WHERE id = %(id)s AND tenant_id = %(tenant)s AND instance_id IS NULL RETURNING id"
CANCEL = """
    UPDATE scheduled_work SET status = 'cancelled', ended_at = %(now)s WHERE id = %(id)s AND status = 'scheduled'
"""


def make(tenant_id: str, kind: str, payload: JSON, when: Moment) -> UUID:
    """Write a promise and its moment; give its id."""
    now = clock.now()
    due_at = when.after(now)
    work = new_id()
    written = {"id": work, "tenant": tenant_id, "kind": kind, "payload": orjson.dumps(payload).decode()}
    with transaction.atomic():
        execute(MAKE, written | {"due_at": due_at, "now": now})
        bells.count_down_on_commit({due_at})
    return UUID(work)


def check_flow(tenant_id: str, flow_id: str) -> None:
    """Raise UnknownFlow unless the tenant has it."""
    if execute(KNOWS_FLOW, [flow_id, tenant_id]).fetchone() is None:
        raise UnknownFlow(attr="flow")


def get(tenant_id: str, work: UUID | str) -> JSON:
    """Give a promise as it stands."""
    key = _id(work)
    row = execute(GET, {"id": key, "tenant": tenant_id}).fetchone()
    if row is None:
        raise UnknownScheduledWork
    kind, status, due_at, result, error, done, value, trouble = row
    told: JSON | None = orjson.loads(result) if result else None
    if told is not None and done is not None:
        told |= {"status": done, "value": orjson.loads(value) if value else None}
    wrong = error or trouble
    return {
        "id": key,
        "kind": kind,
        "state": status,
        "due_at": iso(due_at),
        "result": told,
        "error": orjson.loads(wrong) if wrong else None,
    }


def cancel(tenant_id: str, work: UUID | str) -> JSON:
    """Take a promise back, or say what has become of it."""
    named = {"id": _id(work), "tenant": tenant_id}
    with transaction.atomic():
        if execute(TAKE_BACK, named).fetchone() is None:
            raise IllegalTransition(of="scheduled work", current=get(tenant_id, work)["state"], target=Status.CANCELLED)
        execute(CANCEL, named | {"now": clock.now()})
        return get(tenant_id, work)


def _id(work: UUID | str) -> str:
    try:
        return str(UUID(str(work)))
    except ValueError:
        raise UnknownScheduledWork from None
