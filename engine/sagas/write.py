"""
Many sagas' events, rows and activities in a few statements.

COPY for what is only ever added, one UPDATE for the rows, guarded by the status and sequence each was read with and by
the table of transitions. All in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from engine.connections import copy, escaped, execute, line, one
from engine.event_store.events import SAGA, Event
from engine.execution import write as common
from engine.execution.write import current_tx, new_id
from engine.models import SagaRun
from engine.sagas.rows import Row
from engine.sagas.state import SagaState, apply

JSON = dict[str, Any]

COPY_ACTIVITIES = """
    COPY activities (id, tenant_id, saga_id, node_id, kind, target, input, idempotency_key, policy, status, attempts,
    due_at, worker, held, deaths, created_at) FROM STDIN
"""

# A saga whose name is taken is left out. The records come sorted by their key, against deadlocks.
CREATE = """
    INSERT INTO saga_runs (id, tenant_id, name, definition, runs_in, status, input, plan, steps, ending, error,
           deadline_at, created_at, started_at, completed_at, sequence, runnable, deaths, lease_holder, lease_until,
           log_tx)
    SELECT n.id, n.tenant_id, n.name, n.definition, n.runs_in, n.status, n.input, n.plan, n.steps, n.ending, n.error,
           n.deadline_at, n.created_at, n.started_at, n.completed_at, n.sequence, n.runnable, 0,
           CASE WHEN NOT n.released THEN n.holder END,
           CASE WHEN NOT n.released AND n.holder IS NOT NULL
                THEN clock_timestamp() + n.lease_s * interval '1 second' END,
           n.log_tx
      FROM jsonb_to_recordset(%s::jsonb) AS n(
           id uuid, tenant_id uuid, name text, definition text, runs_in text, status text, input jsonb, plan jsonb,
           steps jsonb, ending jsonb, error jsonb, deadline_at timestamptz, created_at timestamptz,
           started_at timestamptz, completed_at timestamptz, sequence bigint, runnable boolean, log_tx bigint,
           holder uuid, lease_s float, released boolean)
    ON CONFLICT (tenant_id, name) DO NOTHING
 RETURNING id
"""

# Moves each saga that is still where it was read, and still held by whom its mover takes for the holder. One move may
# go along several arrows: `via` is where the last of them begins. A lease ends with what it was taken for.
MOVE = f"""
    UPDATE saga_runs s
       SET status = n.status, runs_in = n.runs_in, steps = n.steps, ending = n.ending, error = n.error,
           deadline_at = n.deadline_at, started_at = n.started_at, completed_at = n.completed_at,
           sequence = n.sequence, log_tx = n.log_tx, runnable = n.runnable,
           lease_holder = CASE WHEN n.released THEN NULL ELSE s.lease_holder END,
           lease_until = CASE WHEN n.released THEN NULL ELSE s.lease_until END
      FROM jsonb_to_recordset(%s::jsonb) AS n(
           id uuid, was text, via text, previous bigint, holder uuid, status text, runs_in text, steps jsonb,
           ending jsonb, error jsonb, deadline_at timestamptz, started_at timestamptz, completed_at timestamptz,
           sequence bigint, log_tx bigint, runnable boolean, released boolean)
     WHERE s.id = n.id AND s.status = n.was AND s.sequence = n.previous
       AND (n.holder IS NULL OR s.lease_holder = n.holder)
       AND (n.via, n.status) IN ({SagaRun.TRANSITIONS.pairs_sql()})
 RETURNING s.id
"""

UNMARK = "UPDATE saga_runs SET runnable = false WHERE id = ANY(%s) AND runnable"


class MovedElsewhere(common.MovedElsewhere):
    """Rows were not where they had been read, or are held by somebody else; the caller undoes the transaction."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(f"{len(ids)} sagas were not where they had been read.")
        self.ids = frozenset(ids)


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """
    A call to be made by a worker.

    `attempts` are those of earlier calls of the same step, which go on counting.
    """

    step: str
    kind: str
    target: str
    input: JSON
    key: str
    policy: JSON
    attempts: int = 0


@dataclass(slots=True)
class Move:
    """
    Collects what happens to one saga; nothing of it exists before the statements have run.

    `was` and `previous` are the status and sequence it was read with: the guard of its UPDATE, together with `holder`,
    the process that must hold its lease; a new saga is held by it from its birth, for `lease_s`. `runnable` has the
    loop look at it; `cause` is what the metadata of its events says beside the batch's.
    """

    state: SagaState
    now: datetime
    was: str
    previous: int
    log_tx: int = 0
    holder: str | None = None
    lease_s: float = 0.0
    runnable: bool = False
    cause: JSON = field(default_factory=dict)
    events: list[tuple[Event, bytes]] = field(default_factory=list)
    activities: list[ActivityRow] = field(default_factory=list)
    wall: datetime | None = None
    _via: str = ""

    @property
    def via(self) -> str:
        """The status from which the last arrow went; the one it was read with where it has stayed."""
        return self._via or self.was

    def record(self, kind: str, data: JSON) -> None:
        """Append an event and fold it in. Data that is not JSON raises here, where the culprit is known."""
        event = Event(kind, data, self.state.sequence + 1, self.now)
        encoded, before = orjson.dumps(data), self.state.status
        apply(self.state, event)
        if self.state.status != before:
            self._via = before
        self.events.append((event, encoded))


def open_move(row: Row, now: datetime, *, holder: str | None = None) -> Move:
    """Begin to gather what happens to a saga; `now` is engine time."""
    return Move(row.state(), now, row.status, row.sequence, row.log_tx, holder, wall=row.wall)


def cause(actor: str, correlation_id: str = "") -> JSON:
    """Give the metadata of what somebody asked for; without an id of the request, that of the saga stands in it."""
    return {"actor": actor} | ({"correlation_id": correlation_id} if correlation_id else {})


def create(moves: Sequence[Move], metadata: JSON) -> set[str]:
    """Write new sagas with their events; give the ids of those that are in: the others' names are taken."""
    tx = current_tx()
    for move in moves:
        move.log_tx = tx
    ordered = sorted(moves, key=lambda move: (move.state.tenant_id, move.state.name))
    document = orjson.dumps([_record(move) | _birth(move) for move in ordered]).decode()
    born = {row[0] for row in execute(CREATE, [document]).fetchall()}
    _append([move for move in ordered if move.state.id in born], tx, metadata)
    return born


def batch(moves: Sequence[Move], metadata: JSON) -> None:
    """Write everything that the moves gathered; raise MovedElsewhere, with their ids, for those whose guard fails."""
    if idle := [move.state.id for move in moves if not move.events and not move.runnable]:
        execute(UNMARK, [idle])
    moved = [move for move in moves if move.events]
    if not moved:
        return
    tx = current_tx()
    for move in moved:
        move.log_tx = max(tx, move.log_tx)
    found = {row[0] for row in execute(MOVE, [orjson.dumps([_record(move) for move in moved]).decode()]).fetchall()}
    if len(found) != len(moved):
        raise MovedElsewhere([move.state.id for move in moved if move.state.id not in found])
    _append(moved, tx, metadata)


def _append(moves: Sequence[Move], tx: int, metadata: JSON) -> None:
    copy(common.COPY_EVENTS, _event_rows(moves, metadata))
    copy(COPY_ACTIVITIES, _activity_rows(moves))


def _event_rows(moves: Iterable[Move], metadata: JSON) -> Iterator[str]:
    for move in moves:
        state, at = move.state, move.now.isoformat()
        meta = orjson.dumps({"saga_id": state.name, "correlation_id": state.id} | metadata | move.cause).decode()
        before, after = f"{state.tenant_id}\t{SAGA}\t{state.id}", f"{escaped(meta)}\t{at}\t{move.log_tx}\n"
        for event, data in move.events:
            yield f"{new_id()}\t{before}\t{event.sequence}\t{event.type}\t{escaped(data.decode())}\t{after}"


def _activity_rows(moves: Iterable[Move]) -> Iterator[str]:
    wall = None
    for move in moves:
        for row in move.activities:
            wall = wall or move.wall or one("SELECT clock_timestamp()")
            yield line(
                new_id(), move.state.tenant_id, move.state.id, row.step, row.kind, row.target, _json(row.input),
                row.key, _json(row.policy), "pending", row.attempts, wall, "", False, 0, wall,
            )  # fmt: skip


def _record(move: Move) -> JSON:
    state = move.state
    at_rest = state.is_over or state.status == "FAILED"
    return {
        "id": state.id,
        "was": move.was,
        "via": move.via,
        "previous": move.previous,
        "holder": move.holder,
        "status": state.status,
        "runs_in": state.runs_in,
        "steps": state.steps,
        "ending": state.ending,
        "error": state.error,
        "deadline_at": state.deadline_at,
        "started_at": state.started_at,
        "completed_at": state.completed_at,
        "sequence": state.sequence,
        "log_tx": move.log_tx,
        "runnable": move.runnable and not at_rest,
        "released": at_rest or state.runs_in == SagaRun.RunsIn.WORKERS,
    }


def _birth(move: Move) -> JSON:
    state = move.state
    return {
        "tenant_id": state.tenant_id,
        "name": state.name,
        "definition": state.definition,
        "input": state.input,
        "plan": state.plan,
        "created_at": state.created_at,
        "lease_s": move.lease_s,
    }


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
