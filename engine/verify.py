"""
The proof that rows and events agree: every instance is rebuilt from its events by `apply` and compared with its row.

Columns that no event determines (the runnable mark, priority, deaths, `log_tx`) are left out. An event that has no
place in its log is reported and not applied; nothing is ever written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction

from engine.connections import execute
from engine.event_store.events import INSTANCE, Event
from engine.execution.state import InstanceState, SequenceGap, apply
from flows.errors import IllegalTransition

JSON = dict[str, Any]

BATCH = 500
FIRST = str(UUID(int=0))
LAST = str(UUID(int=2**128 - 1))

# Row and events of a batch are read as of one moment; it reads the whole log, so no time limit.
ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
NO_TIME_LIMIT = "SET LOCAL statement_timeout = 0"

COLUMNS = (
    "tenant_id", "flow_id", "version_id", "participant_id", "correlation_key", "live_key", "status", "current_nodes",
    "context", "step_count", "entered_at", "updated_at", "completed_at", "exited_at", "exit_reason", "error",
    "compensation", "migrated_from_version", "migrated_at", "sequence",
)  # fmt: skip
TEXTS = frozenset({"current_nodes", "context", "error", "compensation"})

COUNT = "SELECT count(*) FROM flow_instances WHERE tenant_id = coalesce(%(tenant)s, tenant_id)"
ROWS = f"""
    SELECT id, {", ".join(COLUMNS)} FROM flow_instances
     WHERE id > %(after)s AND tenant_id = coalesce(%(tenant)s, tenant_id) ORDER BY id LIMIT %(limit)s
"""
EVENTS = f"""
    SELECT aggregate_id, tenant_id, sequence, type, data, recorded_at, tx FROM stored_events
     WHERE aggregate_id > %(after)s AND aggregate_id <= %(upto)s AND aggregate_type = '{INSTANCE}'
       AND tenant_id = coalesce(%(tenant)s, tenant_id)
     ORDER BY aggregate_id, sequence
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """
    What does not agree about one instance.

    `what` is a column, or `gap`, `illegal_event`, `order`, `no_events`, `no_row`; `row` and `events` are what each of
    the two says.
    """

    instance_id: str
    what: str
    detail: str
    row: Any = None
    events: Any = None


@dataclass(frozen=True, slots=True)
class Checked:
    """One batch: how many instances were rebuilt, and what was found."""

    count: int
    differences: list[Difference]


@dataclass(frozen=True, slots=True)
class Stored:
    """One event as it is stored."""

    tenant_id: str
    tx: int
    event: Event


def count(tenant: UUID | None = None) -> int:
    """Count the instances that are to be checked."""
    with transaction.atomic(durable=True):
        execute(NO_TIME_LIMIT)
        counted: int = execute(COUNT, _parameters(tenant)).fetchall()[0][0]
        return counted


def verify(tenant: UUID | None = None, *, batch: int = BATCH) -> Iterator[Checked]:
    """Check every instance, of one tenant or of all, batch by batch in the order of their ids."""
    after: str | None = FIRST
    while after is not None:
        checked, after = _check_from(after, tenant, batch)
        yield checked


def rebuild(instance_id: str, log: Sequence[Stored]) -> InstanceState | Difference:
    """Fold a log into a state, or say which event has no place in it."""
    state, previous = InstanceState(id=instance_id), 0
    for each in log:
        where = f"Event {each.event.sequence} ({each.event.type})"
        if each.tx < previous:
            return Difference(instance_id, "order", f"{where} comes before its predecessor in the global order.")
        previous = each.tx
        try:
            apply(state, each.event)
        except SequenceGap as gap:
            return Difference(instance_id, "gap", str(gap))
        except IllegalTransition as refusal:
            return Difference(instance_id, "illegal_event", f"{where} is not allowed: {refusal.detail}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Difference(instance_id, "illegal_event", f"{where} does not fit what came before it: {error!r}")
    return state


def _check_from(after: str, tenant: UUID | None, batch: int) -> tuple[Checked, str | None]:
    with transaction.atomic(durable=True):
        execute(ONE_MOMENT)
        execute(NO_TIME_LIMIT)
        found = execute(ROWS, {"after": after, "limit": batch, **_parameters(tenant)}).fetchall()
        rows = {row[0]: dict(zip(COLUMNS, row[1:], strict=True)) for row in found}
        upto = found[-1][0] if len(found) == batch else LAST
        logs = _logs(execute(EVENTS, {"after": after, "upto": upto, **_parameters(tenant)}).fetchall())
    differences = [each for key in sorted({*rows, *logs}) for each in _compare(key, rows.get(key), logs.get(key, []))]
    return Checked(len(rows), differences), None if upto == LAST else upto


def _parameters(tenant: UUID | None) -> JSON:
    return {"tenant": str(tenant) if tenant else None}


def _logs(found: Sequence[Sequence[Any]]) -> dict[str, list[Stored]]:
    logs: dict[str, list[Stored]] = {}
    for key, tenant_id, sequence, kind, data, at, tx in found:
        logs.setdefault(key, []).append(Stored(tenant_id, tx, Event(kind, orjson.loads(data), sequence, at)))
    return logs


def _compare(key: str, row: JSON | None, log: list[Stored]) -> Iterator[Difference]:
    if row is None:
        yield Difference(key, "no_row", f"There are {len(log)} events and no row.")
        return
    if not log:
        yield Difference(key, "no_events", "There is a row and no event.")
        return
    rebuilt = rebuild(key, log)
    if isinstance(rebuilt, Difference):
        yield rebuilt
        return
    for each in log:
        if each.tenant_id != row["tenant_id"]:
            detail = f"Event {each.event.sequence} belongs to another tenant than the row."
            yield Difference(key, "tenant_id", detail, row["tenant_id"], each.tenant_id)
    for name in COLUMNS:
        told = _plain(getattr(rebuilt, name))
        stored = _plain(orjson.loads(row[name]) if name in TEXTS and row[name] is not None else row[name])
        if stored != told:
            yield Difference(key, name, f"{name} is not what the events say.", stored, told)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
