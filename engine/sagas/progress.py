"""How sagas on workers go on: decisions become events and activities, until there is something to wait for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from engine import bells, values
from engine.bells import Bell
from engine.connections import execute
from engine.execution import batch
from engine.sagas import activities, decisions, telling, write
from engine.sagas.rows import Row
from engine.sagas.state import RUNNING, SagaState
from engine.sagas.write import Move, open_move
from engine.workflow_state import WorkflowState

JSON = dict[str, Any]
Published = Callable[[Sequence[str], int], None]
logger = logging.getLogger(__name__)

# Takes back what no worker has begun yet, or would begin once more. Whoever leases it at this moment is awaited.
TAKE_BACK = f"""
    UPDATE activities SET status = 'cancelled', completed_at = clock_timestamp()
     WHERE saga_id = ANY(%s) AND kind = '{activities.STEP}' AND status = 'pending'
 RETURNING saga_id, node_id, attempts
"""

# Called after the commit of a batch in which roll-backs begin, with the sagas' ids and the most steps one has to undo.
on_rollback: list[Published] = []


def carry_on(moves: Sequence[Move], rows: Mapping[str, Row]) -> list[Move]:
    """
    Decide for each saga until nothing follows; give what is to be written.

    A saga whose processing raises is thrown away in memory and comes back as a failed one.
    """
    settled = [_guarded(move, rows[move.state.id], settle) for move in moves]
    stopping = [move for move in settled if is_awaiting_steps(move.state)]
    taken_back = _take_back(stopping)
    return [
        _guarded(move, rows[move.state.id], lambda move, wall: _stop(move, wall, taken_back[move.state.id]))
        if move.state.id in taken_back
        else move
        for move in settled
    ]


def settle(move: Move, wall: datetime) -> None:
    """Fold in one decision after the other, with the activities that they ask for."""
    for kind, data in decisions.settle(move.state, wall):
        record(move, kind, data)


def record(move: Move, kind: str, data: JSON) -> None:
    """Record a decision, and write down the call that it asks for."""
    move.record(kind, data)
    if kind == "step_started":
        move.activities.append(activities.of_step(move.state, data))
    elif kind == "step_compensation_started":
        move.activities.append(activities.of_compensation(move.state, data))


def is_awaiting_steps(state: SagaState) -> bool:
    """Whether it is ending and a step of it may still run."""
    return (
        state.status == WorkflowState.RUNNING
        and state.ending is not None
        and any(entry["state"] == RUNNING for entry in state.steps)
    )


def written(moves: Sequence[Move], rows: Mapping[str, Row], metadata: JSON) -> None:
    """
    Write what happened, in the caller's transaction, tell the bus, and ring when it commits.

    A saga whose content cannot be stored fails alone: the batch is halved until it stands by itself.
    """
    try:
        with transaction.atomic():
            write.batch(moves, metadata)
            telling.tell(moves)
            ring_for(moves)
    except batch.CULPABLE as error:
        if len(moves) == 1:
            _write_failure(moves[0], rows[moves[0].state.id], error, metadata)
            return
        logger.warning("sagas.undone", extra={"sagas": len(moves), "error": repr(error)})
        middle = len(moves) // 2
        written(moves[:middle], rows, metadata)
        written(moves[middle:], rows, metadata)


def ring_for(moves: Iterable[Move]) -> None:
    """Ring, once this has committed, for the activities of these moves; announce the roll-backs that begin."""
    found = list(moves)
    if any(move.activities for move in found):
        bells.ring_on_commit(Bell.ACTIVITIES)
    begun = {
        move.state.id: len(event.data["order"])
        for move in found
        for event, _ in move.events
        if event.type == "compensation_started" and event.data["order"]
    }
    for publish in on_rollback if begun else ():
        transaction.on_commit(lambda publish=publish: publish(list(begun), max(begun.values())), robust=True)  # type: ignore[misc]  # bound now


def _write_failure(move: Move, row: Row, error: Exception, metadata: JSON) -> None:
    detail = values.storable(f"What follows could not be stored: {error}")
    write.batch([stuck(row, move.now, "error", detail)], metadata)


def _guarded(move: Move, row: Row, act: Callable[[Move, datetime], None]) -> Move:
    try:
        act(move, row.wall)
    except Exception as error:
        logger.exception("saga.raised", extra={"saga": row.id})
        return stuck(row, move.now, "error", values.storable(f"{type(error).__name__}: {error}"))
    return move


def stuck(row: Row, now: datetime, code: str, detail: str) -> Move:
    """Throw away what happened to a saga in this batch and have it fail instead; an operator can resume it."""
    move = open_move(row, now)
    if not move.state.is_over and move.state.status != WorkflowState.FAILED:
        for kind, data in decisions.failure(move.state, code, detail):
            move.record(kind, data)
    return move


def _take_back(moves: Sequence[Move]) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    if moves:
        for saga_id, step, attempts in execute(TAKE_BACK, [[move.state.id for move in moves]]).fetchall():
            found.setdefault(saga_id, []).append((step, attempts))
    return found


def _stop(move: Move, wall: datetime, taken_back: Iterable[tuple[str, int]]) -> None:
    for step, attempts in taken_back:
        never = {"code": "cancelled", "detail": "It had not begun when the saga began to end."}
        error = (move.state.step(step)["error"] if attempts else None) or never
        data = {"step": step, "attempt": attempts, "error": error, "final": True, "unknown": False}
        move.record("step_failed", data)
    settle(move, wall)
