"""A saga that has a row already: whether this process may carry it on, and what it finds when it does."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from engine import restarts
from engine.connections import execute
from engine.errors import SagaFinished, SagaRunning
from engine.models import SagaRun
from engine.moments import iso
from engine.sagas import rows
from engine.sagas.decisions import resumption
from engine.sagas.local.pilot import Pilot
from engine.sagas.recovery import LOST
from engine.sagas.rows import Row
from engine.sagas.state import RUNNING
from engine.sagas.write import Move, open_move
from engine.workflow_state import WorkflowState

JSON = dict[str, Any]

PROCESS: Final = SagaRun.RunsIn.PROCESS.value

# Nobody is waited for: the caller looks again.
TRY_NAMED: Final = f"{rows.FIND} FOR NO KEY UPDATE OF s SKIP LOCKED"

TAKE: Final = """
    UPDATE saga_runs SET lease_holder = %s, lease_until = clock_timestamp() + %s * interval '1 second' WHERE id = %s
"""


def find(tenant_id: str, saga_id: str) -> Row | None:
    """Lock the saga of this id and read it; None while somebody else holds it."""
    return next(iter(rows.fetch(TRY_NAMED, [tenant_id, saga_id])), None)


def check_free(row: Row, pilot: Pilot, *, is_ours: bool) -> None:
    """
    Raise unless nobody carries the saga on, and it is the one that was declared.

    `is_ours` says that the row's holder is this process, and that it has another pilot for it.
    """
    if row.status in SagaRun.TRANSITIONS.terminal:
        raise SagaFinished(f"The saga {row.name!r} is {row.status}; an id is used once.")
    if row.runs_in != PROCESS:
        where = "is stuck there: resume it" if row.status == WorkflowState.FAILED else "carry it on"
        raise SagaRunning(f"The saga {row.name!r} was started on the workers, and {where}.")
    if is_ours or (row.lease_holder != pilot.holder and _is_held(row)):
        raise SagaRunning(f"A process executes {row.name!r} already; it can be taken over at {row.lease_until}.")
    pilot.declared.check_against(row.state().plan)


# After a restart of PostgreSQL its holder is given the time to renew what it could not renew before.
def _is_held(row: Row) -> bool:
    return row.lease_until is not None and (row.lease_until > row.wall or restarts.is_recent())


def take(row: Row, pilot: Pilot, now: datetime, lease_s: float) -> Move:
    """Take the lease, and record what follows from another process having carried the saga on so far."""
    execute(TAKE, [pilot.holder, lease_s, row.id])
    move = open_move(row, now, holder=pilot.holder)
    if row.id == pilot.id:
        # Born of this very pilot, whose connection broke when it was to hear of the commit.
        return move
    deadline = iso(pilot.deadline) if pilot.deadline else None
    move.record("saga_taken_over", {"from": row.runs_in, "to": PROCESS, "deadline_at": deadline})
    if move.state.status == WorkflowState.FAILED:
        move.record(*resumption(move.state, "process"))
    _begin_again(move)
    return move


# What ran in the old process may have happened or not; it is called again with the same key, or undone if the saga is
# ending.
def _begin_again(move: Move) -> None:
    for entry in list(move.state.steps):
        data: JSON = {"step": entry["name"], "attempt": entry["attempts"]}
        if entry["state"] == RUNNING:
            is_last = move.state.ending is not None
            move.record("step_failed", data | {"error": LOST, "final": is_last, "unknown": True})
            if not is_last:
                move.record("step_started", data | {"attempt": entry["attempts"] + 1})
        if entry["compensation"]["state"] == RUNNING:
            attempt = entry["compensation"]["attempts"] + 1
            move.record("step_compensation_started", {"step": entry["name"], "attempt": attempt})
