"""
What operators do to parked side effects: retry, complete or fail them, one by one or many.

The instance's row is locked before the activity's. Joins the caller's transaction where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction

from engine import activity_owners, bells, clock, errors
from engine.activity_owners import News
from engine.bells import Bell
from engine.connections import execute
from engine.execution import batch, program, rows, write
from engine.execution.burst import Burst
from engine.models import Activity
from engine.models.activity import ActivityStatus as Status
from engine.operations import Verdict
from flows.errors import IllegalTransition
from flows.models.instance import InstanceStatus
from tenants.errors import Invalid, KalciferError, Problem

JSON = dict[str, Any]
Target = Activity | UUID | str

INSTANCES_OF = "SELECT DISTINCT instance_id::text FROM activities WHERE id = ANY(%s) AND instance_id IS NOT NULL"
LOCK = """
    SELECT id::text, instance_id::text, node_id, status, attempts, kind, tenant_id::text, saga_id::text, lane
      FROM activities WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
"""
OWNED = LOCK.replace("ORDER BY id FOR NO KEY UPDATE", "AND kind <> 'node' ORDER BY id")
REVIVE = """
    UPDATE activities
       SET status = 'pending', due_at = clock_timestamp(), error = NULL, held = (id = ANY(%(held)s::uuid[]))
     WHERE id = ANY(%(ids)s) AND status = 'parked'
"""
COMPLETE = """
    UPDATE activities SET status = 'completed', result = %(result)s::jsonb, completed_at = clock_timestamp()
     WHERE id = ANY(%(ids)s) AND status = 'parked'
"""
FAIL = """
    UPDATE activities SET status = 'failed', error = %(error)s::jsonb, completed_at = clock_timestamp()
     WHERE id = ANY(%(ids)s) AND status = 'parked'
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A locked activity."""

    id: str
    instance_id: str | None
    node_id: str
    status: str
    attempts: int
    kind: str
    tenant_id: str
    saga_id: str | None
    lane: str

    def news(self, status: str, result: JSON | None, error: JSON | None) -> News:
        """What its owner is told of an operator's decision."""
        return News(
            self.id, self.kind, self.tenant_id, self.instance_id, self.saga_id, self.lane, self.node_id,
            self.attempts, status, result, error,
        )  # fmt: skip


Change = Callable[[Sequence[Found], dict[str, rows.Row]], None]
Check = Callable[[Found, rows.Row | None], KalciferError | None]


def retry_activity(activity: Target, *, actor: str = "", correlation_id: str = "") -> Activity:
    """Do a parked side effect once more, now; its attempts go on counting."""
    return _one(activity, retry_activities([_id(activity)], actor=actor, correlation_id=correlation_id))


def complete_activity(
    activity: Target,
    result: JSON | None = None,
    *,
    branch: str | None = None,
    actor: str = "",
    correlation_id: str = "",
) -> Activity:
    """Declare a parked side effect done, with the result that its node goes on with."""
    ids = [_id(activity)]
    return _one(activity, complete_activities(ids, result, branch=branch, actor=actor, correlation_id=correlation_id))


def fail_activity(activity: Target, *, reason: str = "", actor: str = "", correlation_id: str = "") -> Activity:
    """Give a parked side effect up: its node fails, and its `on_failure` decides what follows."""
    return _one(activity, fail_activities([_id(activity)], reason=reason, actor=actor, correlation_id=correlation_id))


def retry_activities(ids: Iterable[str], *, actor: str = "", correlation_id: str = "") -> list[Verdict]:
    """Retry parked side effects; one verdict each, in the order of the ids."""

    def change(found: Sequence[Found], runs: dict[str, rows.Row]) -> None:
        moving = (InstanceStatus.RUNNING, InstanceStatus.WAITING)
        nodes = [each for each in found if each.kind == "node" and each.instance_id in runs]
        held = [each.id for each in nodes if runs[each.instance_id or ""].status not in moving]
        execute(REVIVE, {"ids": [each.id for each in found], "held": held})
        _tell_owners(found, Status.PENDING, _metadata(actor, correlation_id))
        bells.ring_on_commit(Bell.ACTIVITIES)

    return _decide(list(ids), Status.PENDING, change)


def complete_activities(
    ids: Iterable[str],
    result: JSON | None = None,
    *,
    branch: str | None = None,
    actor: str = "",
    correlation_id: str = "",
) -> list[Verdict]:
    """Complete parked side effects, all with the same result; one verdict each, in the order of the ids."""
    outcome = {"result": result or {}, "branch": branch}

    def change(found: Sequence[Found], runs: dict[str, rows.Row]) -> None:
        execute(COMPLETE, {"ids": [each.id for each in found], "result": orjson.dumps(outcome).decode()})
        _tell(found, runs, "activity_completed", {"outcome": outcome}, _metadata(actor, correlation_id))
        _tell_owners(found, Status.COMPLETED, _metadata(actor, correlation_id), result=outcome)

    def check(each: Found, run: rows.Row | None) -> KalciferError | None:
        return _unknown_branch(branch, each, run)

    return _decide(list(ids), Status.COMPLETED, change, check)


def fail_activities(
    ids: Iterable[str], *, reason: str = "", actor: str = "", correlation_id: str = ""
) -> list[Verdict]:
    """Fail parked side effects; one verdict each, in the order of the ids."""
    error = {"code": "failed_by_operator", "detail": reason or "An operator gave the side effect up."}

    def change(found: Sequence[Found], runs: dict[str, rows.Row]) -> None:
        execute(FAIL, {"ids": [each.id for each in found], "error": orjson.dumps(error).decode()})
        said = {"error": error, "final": True, "parked": False}
        _tell(found, runs, "activity_failed", said, _metadata(actor, correlation_id))
        _tell_owners(found, Status.FAILED, _metadata(actor, correlation_id), error=error)

    return _decide(list(ids), Status.FAILED, change)


# --- how a verb goes ---


def _decide(ids: list[str], target: Status, change: Change, check: Check = lambda _, __: None) -> list[Verdict]:
    refusals: dict[str, KalciferError] = {}
    with transaction.atomic():
        runs = rows.lock(row[0] for row in execute(INSTANCES_OF, [ids]).fetchall())
        activity_owners.lock(Found(*row).news(row[3], None, None) for row in execute(OWNED, [ids]).fetchall())
        found = {row[0]: Found(*row) for row in execute(LOCK, [ids]).fetchall()}
        for wanted in ids:
            each = found.get(wanted)
            if each is None:
                refusals[wanted] = errors.UnknownActivity()
            elif each.status != Status.PARKED:
                refusals[wanted] = IllegalTransition(of="side effect", current=each.status, target=target)
            elif refusal := check(each, runs.get(each.instance_id or "")):
                refusals[wanted] = refusal
        willing = [each for each in found.values() if each.id not in refusals]
        if willing:
            change(willing, runs)
    return [Verdict(wanted, refusals.get(wanted)) for wanted in ids]


def _tell_owners(
    found: Sequence[Found], status: str, metadata: JSON, *, result: JSON | None = None, error: JSON | None = None
) -> None:
    activity_owners.tell([each.news(status, result, error) for each in found if each.kind != "node"], metadata)


# A branch that its node does not have would fail the run for want of an edge.
def _unknown_branch(branch: str | None, each: Found, run: rows.Row | None) -> KalciferError | None:
    compiled = program.of_version(run.version_id).nodes.get(each.node_id) if run and each.kind == "node" else None
    if compiled is None or compiled.node is None:
        return None
    branches = compiled.node.branches_of(compiled.config)
    if branch in (branches or (None,)):
        return None
    said = f"Name one of its branches: {', '.join(branches)}." if branches else "Its node has no branches."
    return Invalid([Problem("invalid_choice", said, "branch")])


# Appends to each run whose token waits for the activity; a detached one has no such token, and nobody to tell.
def _tell(found: Sequence[Found], runs: dict[str, rows.Row], kind: str, data: JSON, metadata: JSON) -> None:
    now = clock.now()
    bursts: dict[str, Burst] = {}
    for each in found:
        row = runs.get(each.instance_id or "")
        if row is None:
            continue
        burst = bursts.get(row.id) or bursts.setdefault(row.id, batch.open_burst(row, now))
        token = burst.state.tokens.get(each.node_id)
        if token is not None and token["activity"] == each.id:
            burst.record(kind, {"node": each.node_id, "activity": each.id, "attempt": each.attempts, **data})
    moved = [burst for burst in bursts.values() if burst.events]
    write.batch(moved, metadata=metadata)
    if any(burst.is_runnable for burst in moved):
        bells.ring_on_commit(Bell.ADVANCE)


def _one(activity: Target, verdicts: list[Verdict]) -> Activity:
    (verdict,) = verdicts
    if verdict.refusal is not None:
        raise verdict.refusal
    if isinstance(activity, Activity):
        activity.refresh_from_db()
        return activity
    stored: Activity = Activity.objects.get(pk=verdict.id)
    return stored


def _id(activity: Target) -> str:
    if isinstance(activity, Activity):
        return str(activity.pk)
    try:
        return str(UUID(str(activity)))
    except ValueError:
        raise errors.UnknownActivity from None


def _metadata(actor: str, correlation_id: str) -> JSON:
    return {"actor": actor or "operator", **({"correlation_id": correlation_id} if correlation_id else {})}
