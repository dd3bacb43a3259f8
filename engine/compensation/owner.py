"""Hears what became of a compensation, and has the next one follow it in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import clock
from engine.activity_owners import News
from engine.compensation import rollback
from engine.compensation.rollback import Progress
from engine.execution import batch, rows
from flows.models.instance import InstanceStatus as Status

JSON = dict[str, Any]


class Rollbacks:
    """Speaks for the activities of the kind `compensation`; their instances are locked by whoever moves them."""

    def lock(self, concerned: Sequence[News]) -> None:
        """Lock nothing more: the order of locks begins with the instances."""

    def hear(self, moved: Sequence[News], metadata: JSON) -> None:
        """Record what became of each, and go on."""
        now = clock.now()
        found = rows.lock({each.instance_id for each in moved if each.instance_id})
        progresses = {
            each.burst.state.id: each for each in rollback.load([batch.open_burst(row, now) for row in found.values()])
        }
        for each in moved:
            progress = progresses.get(each.instance_id or "")
            if progress is not None:
                _note(progress, each, metadata)
        rollback.save(list(progresses.values()), metadata)


def _note(progress: Progress, news: News, metadata: JSON) -> None:
    entry = next((each for each in progress.plan if each["activity"] == news.activity_id), None)
    if entry is None:
        return
    by_operator = progress.burst.state.status == Status.COMPENSATION_FAILED
    match news.status:
        case "completed":
            if by_operator:
                _reopen(progress, news, metadata)
            _succeeded(progress, news)
        case "pending" if by_operator:
            _reopen(progress, news, metadata)
        case "pending":
            _attempt_failed(progress, news, parked=False)
        case "parked" | "failed" if by_operator:
            _attempt_failed(progress, news, parked=True)
        case "parked" | "failed":
            _attempt_failed(progress, news, parked=True)
            _stuck(progress, news)


# An operator decided about what was parked, and the roll-back goes on.
def _reopen(progress: Progress, news: News, metadata: JSON) -> None:
    cause = {"by": "operator", "actor": metadata.get("actor", ""), "reason": ""}
    progress.start(cause, progress.left)
    progress.note_scheduled(news.node_id, news.activity_id)


def _succeeded(progress: Progress, news: News) -> None:
    result = (news.result or {}).get("result") or {}
    data = {"node": news.node_id, "activity": news.activity_id, "attempt": news.attempt, "result": result}
    progress.burst.record("compensation_succeeded", data)
    progress.go_on()


def _attempt_failed(progress: Progress, news: News, *, parked: bool) -> None:
    data = {"node": news.node_id, "activity": news.activity_id, "attempt": news.attempt}
    progress.burst.record("compensation_attempt_failed", data | {"error": news.error, "parked": parked})


def _stuck(progress: Progress, news: News) -> None:
    why = (news.error or {}).get("detail") or "no reason was recorded"
    error = {"code": "compensation_failed", "detail": f"What “{news.node_id}” did could not be undone: {why}"[:2000]}
    progress.burst.record("compensation_failed", {"error": error, "left": [each["node"] for each in progress.left]})
