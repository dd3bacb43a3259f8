"""
Letting the members of a segment into a flow, batch by batch, in the background.

A batch is one transaction: the runs that begin, how far the intake is, and the job's progress. Whoever dies in it
leaves all as it was. Each member enters once: who has entered since by the event of the membership is passed over, and
nobody is looked at whose event has not been routed yet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import DataError, transaction

from engine import chores, clock, triggers
from engine.connections import execute
from engine.entering import Entry, Verdict, Whence
from engine.models import Job
from marketing.models import Intake, Journey
from marketing.segments import evaluation
from tenants.errors import KalciferError

JSON = dict[str, Any]

BATCH: Final = 1000
# Beyond so many the refusals are only counted.
MAX_ERRORS: Final = 1000

# What can go on now: not while the flow is paused or the segment is being made, and not faster than was asked for.
GOES_ON: Final = """
      FROM journey_intakes i
      JOIN jobs j ON j.id = i.job_id
      JOIN flows f ON f.id = i.flow_id
      LEFT JOIN segments s ON s.id = i.segment_id
     WHERE f.status <> 'paused'
       AND (s.id IS NULL OR s.type = 'static' OR s.evaluated_at IS NOT NULL)
       AND (i.per_minute IS NULL OR j.status NOT IN ('queued', 'running')
            OR j.done < i.per_minute * (1 + floor(extract(epoch FROM %(now)s - i.at) / 60)))
"""
IS_DUE: Final = f"SELECT 1 {GOES_ON} LIMIT 1"
# Held with its job, which may be cancelled, and its flow, which must not be paused before the batch is in.
TAKE: Final = f"""
    SELECT i.job_id, i.tenant_id, i.flow_id, i.segment_id, s.slug, s.name, i.entry_node, i.context, i.at, i.after,
           j.status, j.actor, f.status, (CASE WHEN i.per_minute IS NULL THEN %(batch)s ELSE
           least(%(batch)s, i.per_minute * (1 + floor(extract(epoch FROM %(now)s - i.at) / 60)) - j.done) END)::int
    {GOES_ON}
     ORDER BY random() LIMIT 1 FOR NO KEY UPDATE OF i, j SKIP LOCKED FOR SHARE OF f SKIP LOCKED
"""
# The next members, whether the event that told of each is still to be routed to this flow, and whether each has
# entered since: all as of one moment. Asked one by one, and of the participant's runs in the order of their index: as
# joins, or by the flow's index, they would read everything there is of a flow whose rows have no statistics yet.
MEMBERS: Final = """
    SELECT m.id::text, c.external_id,
           (SELECT true FROM inbound_events e
             WHERE e.tenant_id = %(tenant)s AND e.event_id = 'segment.entered:' || m.id
               AND e.participant_id = c.external_id AND e.routed_at IS NULL
             LIMIT 1) IS NOT NULL
           AND EXISTS (SELECT 1 FROM flow_triggers t
                        WHERE t.flow_id = %(flow)s AND t.kind = 'segment' AND t.key = ANY(%(names)s)),
           (SELECT true FROM flow_instances r
             WHERE r.tenant_id = %(tenant)s AND r.participant_id = c.external_id
               AND r.flow_id IS NOT DISTINCT FROM %(flow)s AND r.entered_at >= %(at)s
             ORDER BY r.id LIMIT 1) IS NOT NULL
      FROM segment_members m JOIN customers c ON c.id = m.customer_id
     WHERE m.segment_id = %(segment)s AND m.id > %(after)s AND m.since <= %(at)s AND c.state = 'active'
     ORDER BY m.id LIMIT %(limit)s
"""
GO_ON: Final = "UPDATE journey_intakes SET after = %s WHERE job_id = %s"
PROGRESS: Final = """
    UPDATE jobs SET status = 'running', done = done + %(done)s, succeeded = succeeded + %(done)s - %(refused)s,
           refused = refused + %(refused)s, matched = greatest(matched, done + %(done)s),
           errors = CASE WHEN jsonb_array_length(errors) < %(most)s THEN errors || %(errors)s::jsonb ELSE errors END
     WHERE id = %(id)s
"""
END: Final = """
    WITH ended AS (DELETE FROM journey_intakes WHERE job_id = %(id)s)
    UPDATE jobs SET status = %(status)s, matched = done, errors = errors || %(errors)s::jsonb,
           completed_at = clock_timestamp()
     WHERE id = %(id)s AND status IN ('queued', 'running')
"""
STOP: Final = """
    UPDATE jobs SET status = 'cancelled', completed_at = clock_timestamp()
     WHERE id IN (SELECT job_id FROM journey_intakes WHERE journey_id = %s) AND status IN ('queued', 'running')
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """An intake under the lock of its row and its job's."""

    job_id: str
    tenant_id: str
    flow_id: str
    segment_id: str | None
    slug: str
    name: str
    entry_node: str
    context: str
    at: datetime
    after: str
    job_status: str
    actor: str
    flow_status: str
    limit: int

    @property
    def entry(self) -> JSON:
        """What the runs find under `entry`: the same as when the event of the membership starts them, and more."""
        of_event = {"segment_id": self.slug, "segment_key": self.segment_id, "name": self.name}
        return {**of_event, **orjson.loads(self.context)}


def begin(intake: Intake, *, actor: str = "") -> Job:
    """Have whoever is in a segment at a moment let into a flow, in the caller's transaction; give the job."""
    segment = intake.segment
    with transaction.atomic():
        intake.job = job = Job.objects.create(
            tenant_id=intake.tenant_id,
            kind="intake",
            action="enter",
            params={"flow": str(intake.flow_id), "segment": segment.slug if segment else ""},
            actor=actor,
            matched=segment.member_count if segment else 0,
        )
        intake.after = evaluation.FIRST
        intake.save(force_insert=True)
        chores.ring_on_commit()
    return job


def stop(journey: Journey) -> None:
    """Let in nobody more for a journey; whoever is in stays."""
    execute(STOP, [journey.pk])
    chores.ring_on_commit()


def is_due() -> bool:
    """Whether anybody can be let in now; the table is empty when nothing is going on."""
    return execute(IS_DUE, {"now": clock.now()}).fetchone() is not None


def run(slice_s: float) -> bool:
    """Let members in until nobody is left, or the slice is over."""
    until, did = time.monotonic() + slice_s, False
    while time.monotonic() < until and let_some_in():
        did = True
    return did


def let_some_in() -> bool:
    """Let one batch of one intake in; False where none can go on."""
    with transaction.atomic(durable=True):
        row = execute(TAKE, {"now": clock.now(), "batch": BATCH}).fetchone()
        if row is None:
            return False
        taken = Taken(*row)
        if taken.job_status not in {"queued", "running"}:
            return _end(taken, taken.job_status)
        if taken.flow_status != "active" or taken.segment_id is None:
            what = "The segment is gone." if taken.segment_id is None else f"The flow is {taken.flow_status}."
            return _end(taken, Job.Status.FAILED, {"code": "flow_not_active", "detail": what})
        return _let_in(taken)


def _let_in(taken: Taken) -> bool:
    asked = {
        "tenant": taken.tenant_id, "flow": taken.flow_id, "segment": taken.segment_id,
        "names": [taken.slug, taken.segment_id], "after": taken.after, "at": taken.at, "limit": taken.limit,
    }  # fmt: skip
    found = execute(MEMBERS, asked).fetchall()
    ready = _until_on_its_way(found)
    try:
        with transaction.atomic():
            verdicts = _start(taken, [name for _, name, _, is_in in ready if not is_in])
    except (KalciferError, DataError) as error:
        code = error.code if isinstance(error, KalciferError) else "error"
        return _end(taken, Job.Status.FAILED, {"code": code, "detail": str(error)})
    if ready:
        execute(GO_ON, [ready[-1][0], taken.job_id])
        _note(taken, len(ready), verdicts)
    if len(found) == len(ready) < taken.limit:
        return _end(taken, Job.Status.COMPLETED)
    return bool(ready)


def _until_on_its_way(found: Sequence[Any]) -> Sequence[Any]:
    for place, (_, _, on_its_way, _) in enumerate(found):
        if on_its_way:
            return found[:place]
    return found


def _start(taken: Taken, names: Sequence[str]) -> list[Verdict]:
    wanted = [Entry(name, taken.entry) for name in names]
    whence = Whence(taken.actor or "intake", correlation_id=f"job:{taken.job_id}")
    of = (UUID(taken.tenant_id), UUID(taken.flow_id))
    return triggers.start_by_id(of, wanted, entry_node=taken.entry_node, whence=whence) if wanted else []


def _note(taken: Taken, done: int, verdicts: Sequence[Verdict]) -> None:
    refused = [
        {"participant_id": each.entry.participant_id, "code": each.refusal.code, "detail": each.refusal.detail}
        for each in verdicts
        if each.refusal is not None
    ]
    parameters = {"id": taken.job_id, "done": done, "refused": len(refused), "most": MAX_ERRORS}
    execute(PROGRESS, parameters | {"errors": orjson.dumps(refused).decode()})


def _end(taken: Taken, status: str, error: JSON | None = None) -> bool:
    errors = orjson.dumps([error] if error else []).decode()
    execute(END, {"id": taken.job_id, "status": status, "errors": errors})
    return True
