"""What became of a saga's activities, taken up in the transaction that records it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from engine import activity_handlers, activity_owners, clock
from engine.activity_owners import News
from engine.compensation import chains
from engine.connections import execute
from engine.sagas import activities, decisions, progress, rows
from engine.sagas.rows import Row
from engine.sagas.state import FAILED, RUNNING
from engine.sagas.write import Move, open_move
from engine.workflow_state import WorkflowState

JSON = dict[str, Any]

# A step that took its workers along is over: an operator's retry of it could run beside its compensation.
CLOSE = """
    UPDATE activities SET status = 'failed', completed_at = clock_timestamp() WHERE id = ANY(%s) AND status = 'parked'
"""


class SagaOwner:
    """Speaks for steps and compensations: an outcome and all that follows from it are one transaction."""

    def __init__(self) -> None:
        self._held = threading.local()

    def lock(self, concerned: Sequence[News]) -> None:
        """Lock the sagas, in the order of their ids, and read them: nobody else moves them until the commit."""
        self._held.rows = rows.lock(news.saga_id for news in concerned if news.saga_id)

    def hear(self, moved: Sequence[News], metadata: JSON) -> None:
        """Fold the outcomes in, decide what follows, and write all of it."""
        held: dict[str, Row] = self._held.rows
        now = clock.now()
        moves: dict[str, Move] = {}
        for news in moved:
            row = held.get(news.saga_id or "")
            if row is not None:
                take_up(moves.get(row.id) or moves.setdefault(row.id, open_move(row, now)), news)
        if dead := [news.activity_id for news in moved if news.kind == activities.STEP and news.status == "parked"]:
            execute(CLOSE, [dead])
        progress.written(progress.carry_on(list(moves.values()), held), held, metadata)


def connect() -> None:
    """Have sagas told of their activities, and those called; may be called twice."""
    owner = SagaOwner()
    for kind in (activities.STEP, activities.COMPENSATION):
        activity_owners.register(kind, owner)
        activity_handlers.register(kind, activities.call)
    if _announce not in progress.on_rollback:
        progress.on_rollback.append(_announce)


def _announce(saga_ids: Sequence[str], links: int) -> None:
    chains.publish(saga_ids=saga_ids, links=links)


def take_up(move: Move, news: News) -> None:
    """Fold in what became of one activity; what the saga does not wait for any more is passed over."""
    if move.state.is_over:
        return
    if news.kind == activities.STEP:
        _take_up_step(move, news)
    else:
        _take_up_compensation(move, news)


def _take_up_step(move: Move, news: News) -> None:
    if move.state.step(news.node_id)["state"] != RUNNING:
        return
    data: JSON = {"step": news.node_id, "attempt": news.attempt}
    if news.status == "running":
        _give_up(move, news)
    elif news.status == "completed":
        move.record("step_completed", data | {"result": activities.value_of(news.result)})
    elif news.error is not None:
        move.record("step_failed", data | _failure(news) | {"final": news.status != "pending"})


# A step that cannot be stopped has no more attempts: the saga ends now, and is undone when the step has ended.
def _give_up(move: Move, news: News) -> None:
    if move.state.ending is None:
        data = {"cause": decisions.FAILURE, "step": news.node_id, "error": _error(news)}
        move.record("saga_ending", data)


# An operator who has a parked compensation done again, or declares it done, has the saga go on.
def _take_up_compensation(move: Move, news: News) -> None:
    state = move.state.step(news.node_id)["compensation"]["state"]
    data: JSON = {"step": news.node_id, "attempt": news.attempt}
    if state == FAILED and move.state.status == WorkflowState.FAILED and news.status in {"pending", "completed"}:
        move.record(*decisions.resumption(move.state, "operator"))
        attempt = news.attempt + (news.status == "pending")
        move.record("step_compensation_started", data | {"attempt": attempt})
    elif state != RUNNING:
        return
    if news.status == "completed":
        move.record("step_compensated", data | {"result": activities.value_of(news.result)})
    elif news.error is not None:
        data |= {"error": _error(news), "final": news.status != "pending"}
        move.record("step_compensation_failed", data)


def _failure(news: News) -> JSON:
    return {"error": _error(news), "unknown": (news.error or {}).get("code") in activities.UNKNOWN_CODES}


def _error(news: News) -> JSON:
    error = news.error or {}
    return {"code": error.get("code", "error"), "detail": error.get("detail", "")}
