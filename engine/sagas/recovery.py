"""Sagas that somebody let fall: handed to the workers where any process can go on with them, stuck where none can."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

import orjson
from django.db import transaction

from engine import clock, values
from engine.connections import execute
from engine.errors import InvalidSaga
from engine.execution import batch
from engine.models import SagaRun
from engine.sagas import activities, progress, rows
from engine.sagas.rows import COLUMNS, Row
from engine.sagas.starting import check_for_workers
from engine.sagas.state import RUNNING
from engine.sagas.write import Move, open_move

JSON = dict[str, Any]
logger = logging.getLogger(__name__)

PROCESS: Final = SagaRun.RunsIn.PROCESS.value
WORKERS: Final = SagaRun.RunsIn.WORKERS.value

MOST_AT_ONCE: Final = 500

LOST: Final = {"code": "worker_lost", "detail": "Its process died; the outcome is unknown."}

# Sagas whose process has stopped renewing its lease; whoever still moves one is passed over.
ABANDONED = f"""
    SELECT {COLUMNS} FROM saga_runs s
     WHERE s.lease_until < clock_timestamp() AND s.runs_in = '{PROCESS}' ORDER BY s.id LIMIT 1
       FOR NO KEY UPDATE SKIP LOCKED
"""
IS_ABANDONED = f"SELECT 1 FROM saga_runs WHERE lease_until < clock_timestamp() AND runs_in = '{PROCESS}' LIMIT 1"

# The newest activity of each step and of each compensation.
NEWEST = """
    SELECT DISTINCT ON (node_id, kind) node_id, kind, status, attempts, result FROM activities
     WHERE saga_id = %s ORDER BY node_id, kind, id DESC
"""
# What an operator would be asked about goes on as an attempt of its own.
UNPARK = """
    UPDATE activities SET status = 'cancelled', completed_at = clock_timestamp()
     WHERE saga_id = %s AND status = 'parked'
"""


def take_over(metadata: JSON) -> int:
    """Hand sagas of dead processes to the workers, or fail them as `not_recoverable`; give how many."""
    taken = 0
    while taken < MOST_AT_ONCE and execute(IS_ABANDONED).fetchone() is not None and _take_one(metadata):
        taken += 1
    return taken


def obstacle(plan: Sequence[JSON]) -> str:
    """Say why workers cannot go on with such a saga; empty where they can."""
    try:
        check_for_workers(plan)
    except InvalidSaga as problem:
        return problem.detail
    return ""


def hand_over(move: Move) -> None:
    """Have the workers go on: what ran in the process is begun again, with the same key, or unknown if it is ending."""
    move.record("saga_taken_over", {"from": PROCESS, "to": WORKERS})
    begin_again(move)


def begin_again(move: Move) -> None:
    """See to it that each step and compensation that counts as running has an activity, or an outcome."""
    execute(UNPARK, [move.state.id])
    found = {(row[0], row[1]): row[2:] for row in execute(NEWEST, [move.state.id]).fetchall()}
    for entry in list(move.state.steps):
        if entry["state"] == RUNNING:
            _step_again(move, entry, found.get((entry["name"], activities.STEP)))
        if entry["compensation"]["state"] == RUNNING:
            _compensation_again(move, entry, found.get((entry["name"], activities.COMPENSATION)))


# Each alone: what is wrong with one is not the next one's.
def _take_one(metadata: JSON) -> bool:
    with transaction.atomic(durable=True):
        found = rows.fetch(ABANDONED, None)
        held = {row.id: row for row in found}
        progress.written(progress.carry_on([_taken_over(row) for row in found], held), held, metadata)
    return bool(found)


def _taken_over(row: Row) -> Move:
    now = clock.now()
    try:
        why_not = obstacle(orjson.loads(row.plan))
        if not why_not:
            move = open_move(row, now)
            hand_over(move)
            return move
    except batch.CULPABLE as error:
        logger.exception("saga.not_taken_over", extra={"saga": row.id})
        why_not = values.storable(f"{type(error).__name__}: {error}")
    return progress.stuck(row, now, "not_recoverable", f"The process that carried it on died. {why_not}")


def _step_again(move: Move, entry: JSON, newest: Sequence[Any] | None) -> None:
    status, attempts, result = newest or ("", 0, None)
    data: JSON = {"step": entry["name"], "attempt": attempts or entry["attempts"]}
    if status in {"pending", "running"}:
        return
    if status == "completed":
        move.record("step_completed", data | {"result": activities.value_of(result and orjson.loads(result))})
    elif move.state.ending is not None:
        move.record("step_failed", data | {"error": LOST, "final": True, "unknown": True})
    else:
        # It may have happened: should the next attempt fail, it is undone all the same.
        move.record("step_failed", data | {"error": LOST, "final": False, "unknown": True})
        progress.record(move, "step_started", data | {"attempt": data["attempt"] + 1})


def _compensation_again(move: Move, entry: JSON, newest: Sequence[Any] | None) -> None:
    status, attempts, result = newest or ("", 0, None)
    data: JSON = {"step": entry["name"], "attempt": attempts or entry["compensation"]["attempts"]}
    if status in {"pending", "running"}:
        return
    if status == "completed":
        move.record("step_compensated", data | {"result": activities.value_of(result and orjson.loads(result))})
    else:
        progress.record(move, "step_compensation_started", data | {"attempt": data["attempt"] + 1})
