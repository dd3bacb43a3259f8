"""
Promises that have come due.

The moment's row goes in the transaction that begins what was promised, so that it is begun once; what cannot be begun
is noted with its reason in the same transaction.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID

import orjson
from django.db import InterfaceError, OperationalError, transaction

from engine import bells, clock, triggers, values
from engine.bells import Bell
from engine.conf import engine_settings
from engine.connections import execute
from engine.entering import Entry, Whence
from engine.execution.write import new_id
from engine.sagas import starting
from engine.workflow_scheduler import tasks
from tenants.errors import KalciferError

JSON = dict[str, Any]
logger = logging.getLogger(__name__)

# Deletes the moments that have come, as many as the limit; what somebody else has in hand is passed over.
FIRE = """
    WITH due AS MATERIALIZED (
        SELECT id FROM timers WHERE instance_id IS NULL AND due_at <= %(now)s
         ORDER BY due_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), fired AS (
        DELETE FROM timers t USING due WHERE t.id = due.id RETURNING t.id
    )
    SELECT w.id, w.tenant_id, w.kind, w.payload FROM fired JOIN scheduled_work w ON w.id = fired.id
     WHERE w.status = 'scheduled' ORDER BY w.due_at, w.id
"""
NOTE = """
    UPDATE scheduled_work w SET status = n.status, result = n.result, error = n.error, ended_at = %(now)s
      FROM jsonb_to_recordset(%(notes)s::jsonb) AS n(id uuid, status text, result jsonb, error jsonb)
     WHERE w.id = n.id AND w.status = 'scheduled'
"""
IS_DUE = "SELECT 1 FROM timers WHERE instance_id IS NULL AND due_at <= %s LIMIT 1"
NEAR = """
    SELECT DISTINCT date_trunc('milliseconds', due_at) FROM timers
     WHERE instance_id IS NULL AND due_at > %s AND due_at <= %s ORDER BY 1 LIMIT 1000
"""
CALL_LATER = """
    INSERT INTO activities (id, tenant_id, node_id, kind, target, input, idempotency_key, policy, status, attempts,
                            due_at, worker, held, deaths, created_at)
    SELECT n.id, n.tenant_id, '', 'task', n.target, n.input, n.key, n.policy, 'pending', 0,
           clock_timestamp(), '', false, 0, clock_timestamp()
      FROM jsonb_to_recordset(%s::jsonb) AS n(
           id uuid, tenant_id uuid, target text, input jsonb, key text, policy jsonb)
     ORDER BY n.key
"""


@dataclass(slots=True)
class Due:
    """A promise whose moment has come, and what became of it."""

    id: str
    tenant_id: str
    kind: str
    payload: JSON
    result: JSON | None = None
    error: JSON | None = None

    @property
    def group(self) -> tuple[str, ...]:
        """What is begun together with it: the same flow at the same entry, or sagas of the same definition."""
        names = {"flow": ("flow_id", "entry_node"), "saga": ("definition",), "task": ()}[self.kind]
        return (self.kind, self.tenant_id, *(str(self.payload[name] or "") for name in names))

    def refuse(self, error: Exception) -> None:
        """Note why it could not be begun."""
        code = error.code if isinstance(error, KalciferError) else "error"
        detail = str(error) if isinstance(error, KalciferError) else f"{type(error).__name__}: {error}"
        self.result, self.error = None, {"code": code, "detail": values.storable(detail)}


def run_due(*, slice_s: float | None = None) -> int:
    """Begin whatever is due until nothing is, or the slice is over; give how many promises were kept or failed."""
    settings = engine_settings()
    until = time.monotonic() + (settings.slice_s if slice_s is None else slice_s)
    done = 0
    while time.monotonic() < until:
        fired = _run_batch(settings.router_batch_size)
        done += fired
        if not fired:
            break
    return done


def is_due() -> bool:
    """Whether any promise is due: one look at an index."""
    return execute(IS_DUE, [clock.now()]).fetchone() is not None


def announce_near() -> None:
    """Give every promise that comes due within the horizon its countdown."""
    bells.announce(NEAR)


def _run_batch(limit: int) -> int:
    with transaction.atomic(durable=True):
        now = clock.now()
        found = [
            Due(work, tenant, kind, orjson.loads(payload))
            for work, tenant, kind, payload in execute(FIRE, {"now": now, "limit": limit}).fetchall()
        ]
        for _, group in groupby(sorted(found, key=lambda each: each.group), key=lambda each: each.group):
            _begin(list(group))
        if found:
            execute(NOTE, {"now": now, "notes": orjson.dumps([_note(each) for each in found]).decode()})
    return len(found)


def _note(due: Due) -> JSON:
    status = "failed" if due.error else "started"
    return {"id": due.id, "status": status, "result": due.result, "error": due.error}


# All of a group at once; where a statement or a callable fails, one by one, so that the culprit fails alone. Trouble of
# the connection is nobody's fault: it undoes the batch, which is found again.
def _begin(group: Sequence[Due]) -> None:
    try:
        with transaction.atomic():
            _BEGINNERS[group[0].kind](group)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if len(group) > 1:
            for each in group:
                _begin([each])
            return
        if not isinstance(error, KalciferError):
            logger.exception("scheduled.not_begun", extra={"scheduled_work": group[0].id})
        group[0].refuse(error)


def _begin_flows(group: Sequence[Due]) -> None:
    first = group[0]
    of = (UUID(first.tenant_id), UUID(first.payload["flow_id"]))
    wanted = [_entry(each) for each in group]
    verdicts = triggers.start_by_id(of, wanted, entry_node=first.payload["entry_node"], whence=Whence("scheduler"))
    for due, verdict in zip(group, verdicts, strict=True):
        _take(due, verdict.refusal, lambda verdict=verdict: {"instance_id": verdict.instance_id})  # type: ignore[misc]


def _entry(due: Due) -> Entry:
    payload = due.payload
    return Entry(
        payload["participant_id"], payload["context"], payload["correlation_key"], cause={"causation_id": due.id}
    )


def _begin_sagas(group: Sequence[Due]) -> None:
    wishes = [starting.Wish(each.payload["saga_id"], each.payload["input"]) for each in group]
    first = group[0]
    verdicts = starting.start_sagas_sync(first.payload["definition"], wishes, tenant=first.tenant_id, actor="scheduler")
    for due, verdict in zip(group, verdicts, strict=True):
        _take(due, verdict.refusal, lambda due=due: {"saga_id": due.payload["saga_id"]})  # type: ignore[misc]


def _take(due: Due, refusal: Exception | None, result: Callable[[], JSON]) -> None:
    if refusal is not None:
        due.refuse(refusal)
    else:
        due.result, due.error = result(), None


def _begin_tasks(group: Iterable[Due]) -> None:
    documents = []
    for due in group:
        activity, payload = new_id(), due.payload
        given = {"args": payload["args"], "kwargs": payload["kwargs"]}
        documents.append({
            "id": activity, "tenant_id": due.tenant_id, "target": payload["task"], "input": given,
            "key": f"task:{due.id}", "policy": tasks.policy_of(payload),
        })  # fmt: skip
        due.result = {"activity_id": activity}
    execute(CALL_LATER, [orjson.dumps(documents).decode()])
    bells.ring_on_commit(Bell.ACTIVITIES)


_BEGINNERS: dict[str, Callable[[Sequence[Due]], None]] = {
    "flow": _begin_flows,
    "saga": _begin_sagas,
    "task": _begin_tasks,
}
