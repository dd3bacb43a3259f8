"""
Forgetting a participant: their runs end, and nothing says any longer who they were or what they said.

Events keep their type, order, node, branch and time, so that the fold of a redacted log is a redacted run, and `verify`
agrees. See docs/explanation/erasure.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from django.db import transaction

from engine import clock, operations
from engine.connections import execute
from engine.event_store.events import INSTANCE
from engine.event_store.rows import COLUMNS, event_of
from engine.execution import folding

JSON = dict[str, Any]

DELETED: Final = "participant_deleted"
BATCH: Final = 100

LIVE = """
    SELECT id::text FROM flow_instances
     WHERE tenant_id = %s AND participant_id = ANY(%s) AND status IN ('running', 'waiting', 'paused') LIMIT %s
"""
# A roll-back needs what the run knows; it is forgotten when it is over.
OVER = """
    SELECT id::text, participant_id FROM flow_instances
     WHERE tenant_id = %s AND participant_id = ANY(%s)
       AND status NOT IN ('running', 'waiting', 'paused', 'compensating')
     ORDER BY id LIMIT %s FOR UPDATE
"""
IS_LEFT = "SELECT 1 FROM flow_instances WHERE tenant_id = %s AND participant_id = ANY(%s) LIMIT 1"
ALLOW = "SELECT set_config('kalcifer.redacting', 'on', true)"
EVENTS = f"""
    SELECT {COLUMNS} FROM stored_events WHERE aggregate_type = '{INSTANCE}' AND aggregate_id = ANY(%s)
     ORDER BY aggregate_id, sequence
"""
REDACT = """
    UPDATE stored_events e SET data = n.data FROM jsonb_to_recordset(%s::jsonb) AS n(event_id uuid, data jsonb)
     WHERE e.event_id = n.event_id AND e.aggregate_id = ANY(%s)
"""
REDUCE = """
    UPDATE flow_instances i
       SET participant_id = n.participant_id, correlation_key = n.correlation_key, live_key = n.live_key,
           context = n.context, current_nodes = n.current_nodes, error = n.error, compensation = n.compensation
      FROM jsonb_to_recordset(%s::jsonb) AS n(id uuid, participant_id text, correlation_key text, live_key text,
           context jsonb, current_nodes jsonb, error jsonb, compensation jsonb)
     WHERE i.id = n.id
"""
FORGET_SNAPSHOTS = "DELETE FROM snapshots WHERE aggregate_id = ANY(%s)"
FORGET_STEPS = """
    UPDATE execution_steps
       SET input = NULL, output = CASE WHEN output IS NULL THEN NULL ELSE '{}'::jsonb END,
           error = CASE WHEN error IS NULL THEN NULL ELSE error || '{"detail": ""}'::jsonb END
     WHERE instance_id = ANY(%s)
"""
FORGET_ACTIVITIES = """
    UPDATE activities
       SET input = '{}', result = CASE WHEN result IS NULL THEN NULL ELSE '{}'::jsonb END,
           error = CASE WHEN error IS NULL THEN NULL ELSE error || '{"detail": ""}'::jsonb END
     WHERE instance_id = ANY(%s) AND status IN ('completed', 'failed', 'cancelled')
"""
FORGET_EVENTS = """
    UPDATE inbound_events e SET participant_id = n.pseudonym, data = '{}', correlation_id = ''
      FROM unnest(%s::text[], %s::text[]) AS n(id, pseudonym)
     WHERE e.tenant_id = %s AND e.participant_id = n.id
"""
# Whoever deletes the moment of a promise decides what becomes of it; one that is being begun just now is.
FORGET_PROMISES = """
    WITH named AS MATERIALIZED (
        SELECT w.id, n.pseudonym FROM scheduled_work w JOIN unnest(%(ids)s::text[], %(pseudonyms)s::text[])
               AS n(id, pseudonym) ON n.id = w.payload ->> 'participant_id'
         WHERE w.tenant_id = %(tenant)s AND w.kind = 'flow'
    ), taken AS (
        DELETE FROM timers t USING named WHERE t.id = named.id AND t.instance_id IS NULL RETURNING t.id
    )
    UPDATE scheduled_work w
       SET payload = w.payload || jsonb_build_object(
               'participant_id', named.pseudonym, 'context', '{}'::jsonb, 'correlation_key', NULL),
           error = CASE WHEN w.error IS NULL THEN NULL ELSE w.error || '{"detail": ""}'::jsonb END,
           status = CASE WHEN taken.id IS NULL THEN w.status ELSE 'cancelled' END,
           ended_at = CASE WHEN taken.id IS NULL THEN w.ended_at ELSE %(now)s END
      FROM named LEFT JOIN taken USING (id) WHERE w.id = named.id
"""
# A schedule that has nobody left to start rests.
FORGET_SCHEDULES = """
    WITH named AS MATERIALIZED (
        SELECT id, participants - %(ids)s::text[] AS others FROM flow_schedules
         WHERE tenant_id = %(tenant)s AND participants ?| %(ids)s::text[] ORDER BY id FOR UPDATE
    )
    UPDATE flow_schedules s
       SET participants = n.others, enabled = s.enabled AND n.others <> '[]',
           context = CASE WHEN n.others = '[]' THEN '{}' ELSE s.context END,
           next_at = CASE WHEN n.others = '[]' THEN NULL ELSE s.next_at END
      FROM named n WHERE s.id = n.id
"""
FORGET_SUBSCRIPTIONS = "DELETE FROM event_subscriptions WHERE tenant_id = %s AND participant_id = ANY(%s)"
FORGET_ENTRIES = "DELETE FROM flow_entries WHERE tenant_id = %s AND participant_id = ANY(%s)"

# What may hold what a person said, by its key in an event's data; what it becomes keeps the fold going.
_EMPTY: Final[JSON] = {
    "context": {},
    "result": {},
    "input": {},
    "filter": None,
    "wait": {},
    "metadata": {},
    "detail": "",
    "recipient": "",
    "address": "",
    "payload": {},
    "rendered": {},
    "data": {},
    "correlation_key": "",
    "live_key": "",
}


def end_runs(tenant_id: str, participant_ids: Sequence[str], *, actor: str = "") -> None:
    """End every live run of these participants as exited, `participant_deleted`."""
    metadata = operations.metadata_of(actor, "")
    while ids := [row[0] for row in execute(LIVE, [tenant_id, list(participant_ids), BATCH]).fetchall()]:
        verdicts = operations.exit_many(ids, code=DELETED, metadata=metadata)
        if all(verdict.refusal is not None for verdict in verdicts):
            return


def forget_starts(tenant_id: str, pseudonyms: Mapping[str, str]) -> None:
    """Take these participants out of schedules, and take back the starts that were promised for them."""
    named = {"tenant": tenant_id, "ids": list(pseudonyms), "pseudonyms": list(pseudonyms.values()), "now": clock.now()}
    with transaction.atomic(durable=True):
        execute(FORGET_PROMISES, named)
        execute(FORGET_SCHEDULES, named)


def forget_runs(tenant_id: str, pseudonyms: Mapping[str, str]) -> bool:
    """Redact the runs that are over, batch by batch; give whether none is left that is not redacted."""
    who = list(pseudonyms)
    while _forget_some(tenant_id, who, pseudonyms):
        pass
    return execute(IS_LEFT, [tenant_id, who]).fetchone() is None


def forget_events(tenant_id: str, pseudonyms: Mapping[str, str]) -> None:
    """Redact the inbox, and forget what waits for these participants; in the caller's transaction."""
    who = list(pseudonyms)
    execute(FORGET_EVENTS, [who, [pseudonyms[each] for each in who], tenant_id])
    execute(FORGET_SUBSCRIPTIONS, [tenant_id, who])
    execute(FORGET_ENTRIES, [tenant_id, who])


def redacted(data: Any, pseudonym: str) -> Any:
    """Give an event's data without what a person said, and with another name for them."""
    if isinstance(data, list):
        return [redacted(item, pseudonym) for item in data]
    if not isinstance(data, dict):
        return data
    found: JSON = {}
    for name, value in data.items():
        if name == "participant_id":
            found[name] = pseudonym
        elif name in _EMPTY and value is not None:
            found[name] = _EMPTY[name]
        else:
            found[name] = redacted(value, pseudonym)
    return found


def _forget_some(tenant_id: str, who: list[str], pseudonyms: Mapping[str, str]) -> bool:
    with transaction.atomic(durable=True):
        runs = dict(execute(OVER, [tenant_id, who, BATCH]).fetchall())
        if not runs:
            return False
        ids = list(runs)
        execute(ALLOW)
        by_run = defaultdict(list)
        changed = []
        for row in execute(EVENTS, [ids]).fetchall():
            event = event_of(row)
            data = redacted(orjson.loads(row[_DATA]), pseudonyms[runs[event.aggregate_id]])
            changed.append({"event_id": event.event_id, "data": data})
            by_run[event.aggregate_id].append(event_of((*row[:_DATA], orjson.dumps(data), *row[_DATA + 1 :])))
        execute(REDACT, [orjson.dumps(changed).decode(), ids])
        states = [_folded(key, events) for key, events in by_run.items()]
        execute(REDUCE, [orjson.dumps(states).decode()])
        for statement in (FORGET_SNAPSHOTS, FORGET_STEPS, FORGET_ACTIVITIES):
            execute(statement, [ids])
    return True


_DATA: Final = 7


def _folded(instance_id: str, events: Sequence[Any]) -> JSON:
    state = folding.initial(instance_id)
    for event in events:
        state = folding.FOLD.apply(state, event)
    return {
        "id": instance_id,
        "participant_id": state.participant_id,
        "correlation_key": state.correlation_key,
        "live_key": state.live_key,
        "context": state.context,
        "current_nodes": state.current_nodes,
        "error": state.error,
        "compensation": state.compensation,
    }
