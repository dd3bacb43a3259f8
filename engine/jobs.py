"""
Acts on many things: the set is frozen when it is asked for, then worked off in batches.

A batch is one transaction: the act, the deletion of its targets and the job's progress. Whoever dies in it leaves
the job as it was.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction
from django.db.models import QuerySet

from engine import bells, errors, operations, repairs
from engine.bells import Bell
from engine.conf import engine_settings
from engine.connections import execute
from engine.models import Job
from engine.operations import Verdict
from flows.errors import IllegalTransition
from tenants.errors import KalciferError
from tenants.models import Tenant

JSON = dict[str, Any]
Verb = Callable[..., list[Verdict]]

logger = logging.getLogger(__name__)

BATCH = 200
# Beyond so many the refusals are only counted.
MAX_ERRORS = 1000

VERBS: dict[tuple[str, str], Verb] = {
    ("instances", "cancel"): operations.cancel_many,
    ("instances", "pause"): operations.pause_many,
    ("instances", "resume"): operations.resume_many,
    ("instances", "retry"): operations.retry_many,
    ("activities", "retry"): repairs.retry_activities,
    ("activities", "complete"): repairs.complete_activities,
    ("activities", "fail"): repairs.fail_activities,
}

# In the order of the ids, which is the order in which the batches lock them.
FREEZE = "INSERT INTO job_targets (job_id, target_id) SELECT %s, found.id FROM ({chosen}) AS found(id) ORDER BY 2"

# Takes one open job, any: a long one must not keep the others from their turn.
TAKE = """
    SELECT id::text, kind, action, params, actor FROM jobs
     WHERE status IN ('queued', 'running') AND kind IN ('instances', 'activities')
     ORDER BY random() LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""
NEXT = "SELECT id, target_id::text FROM job_targets WHERE job_id = %s ORDER BY id LIMIT %s"
DONE_WITH = "DELETE FROM job_targets WHERE id = ANY(%s)"
PROGRESS = """
    UPDATE jobs SET status = 'running', done = done + %(done)s, succeeded = succeeded + %(done)s - %(refused)s,
           refused = refused + %(refused)s,
           errors = CASE WHEN jsonb_array_length(errors) < %(most)s THEN errors || %(errors)s::jsonb ELSE errors END
     WHERE id = %(id)s
"""
COMPLETE = "UPDATE jobs SET status = 'completed', completed_at = clock_timestamp() WHERE id = %s"
CANCEL = """
    UPDATE jobs SET status = 'cancelled', completed_at = clock_timestamp()
     WHERE id = %s AND status IN ('queued', 'running')
"""
FORGET_TARGETS = "DELETE FROM job_targets WHERE job_id = %s"
IS_WAITING = "SELECT 1 FROM jobs WHERE status IN ('queued', 'running') AND kind IN ('instances', 'activities') LIMIT 1"


@dataclass(frozen=True, slots=True)
class Taken:
    """A job under its lock."""

    id: str
    kind: str
    action: str
    params: JSON
    actor: str


def request(
    tenant: Tenant, kind: str, action: str, *, chosen: QuerySet[Any], params: JSON | None = None, actor: str = ""
) -> Job:
    """Freeze what is chosen as the targets of a new job and ring for it; `chosen` is narrowed to the tenant already."""
    with transaction.atomic():
        job = Job.objects.create(tenant=tenant, kind=kind, action=action, params=params or {}, actor=actor)
        inner, values = chosen.order_by().values("pk").query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(FREEZE.format(chosen=inner), [job.pk, *values])
            job.matched = cursor.rowcount
        if not job.matched:
            execute(COMPLETE, [job.pk])
        Job.objects.filter(pk=job.pk).update(matched=job.matched)
        bells.ring_on_commit(Bell.JOBS)
    job.refresh_from_db()
    return job


def cancel(job: Job | UUID | str) -> Job:
    """Stop a job after the batch at hand; what is done stays done."""
    key = job.pk if isinstance(job, Job) else job
    with transaction.atomic():
        if execute(CANCEL, [str(key)]).rowcount:
            execute(FORGET_TARGETS, [str(key)])
            return Job.objects.get(pk=key)
    found = Job.objects.filter(pk=key).first()
    if found is None:
        raise errors.UnknownJob
    raise IllegalTransition(of="job", current=found.status, target=Job.Status.CANCELLED)


def run_jobs(slice_s: float | None = None) -> int:
    """Work off open jobs until none is left, or the slice is over; give how many targets were dealt with."""
    until = time.monotonic() + (engine_settings().slice_s if slice_s is None else slice_s)
    dealt = 0
    while time.monotonic() < until:
        some = run_some()
        if some is None:
            return dealt
        dealt += some
    bells.ring(Bell.JOBS)
    return dealt


def is_waiting() -> bool:
    """Whether any job has work left."""
    return execute(IS_WAITING).fetchone() is not None


def run_some() -> int | None:
    """Deal with one batch of one job; give how many targets it had, or None where no job is open and free."""
    with transaction.atomic(durable=True):
        row = execute(TAKE).fetchone()
        if row is None:
            return None
        job = Taken(row[0], row[1], row[2], orjson.loads(row[3]), row[4])
        targets = execute(NEXT, [job.id, BATCH]).fetchall()
        if not targets:
            execute(COMPLETE, [job.id])
            return 0
        verdicts = _act(job, [target for _, target in targets])
        execute(DONE_WITH, [[key for key, _ in targets]])
        _note(job, verdicts)
    return len(targets)


def _act(job: Taken, ids: Sequence[str]) -> list[Verdict]:
    verb = VERBS[job.kind, job.action]
    try:
        with transaction.atomic():
            return verb(ids, actor=job.actor, **job.params)
    except Exception as error:
        if len(ids) == 1:
            logger.exception("job.target_raised", extra={"job": job.id, "target": ids[0]})
            return [Verdict(ids[0], KalciferError(f"{type(error).__name__}: {error}"))]
    # One of them raised: alone, it cannot take the others along.
    return [verdict for each in ids for verdict in _act(job, [each])]


def _note(job: Taken, verdicts: Sequence[Verdict]) -> None:
    refused = [
        {"id": each.id, "code": each.refusal.code, "detail": each.refusal.detail}
        for each in verdicts
        if each.refusal is not None
    ]
    parameters = {
        "id": job.id,
        "done": len(verdicts),
        "refused": len(refused),
        "errors": orjson.dumps(refused).decode(),
        "most": MAX_ERRORS,
    }
    execute(PROGRESS, parameters)
