"""
Looking again at whoever has changed, and at whole segments stretch by stretch, in the background.

What is due, the new members and the events that tell of them are one transaction: a worker that dies leaves everything
as it was. A segment is evaluated by one worker at a time, under the lock of its row, which nobody waits for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import DataError, OperationalError, ProgrammingError, transaction

from engine import chores, clock, event_router
from engine.chores import Chore
from engine.connections import execute, is_out_of_time
from marketing.models import Segment
from marketing.segments import changes, evaluation

logger = logging.getLogger(__name__)

LIMIT: Final = 500
STRETCH: Final = 20_000
# Whoever changed while a new segment was being made could not see it yet, so all are looked at once more after this.
LOOK_AGAIN: Final = timedelta(minutes=1)
# A segment for which a statement took too long is looked at anew after this, and not before all others.
PUT_OFF: Final = timedelta(minutes=5)

IS_DUE: Final = "SELECT 1 FROM segment_due WHERE due_at <= %s LIMIT 1"
TAKE: Final = """
    SELECT id, tenant_id, participant_id, segment_id, reads FROM segment_due
     WHERE due_at <= %s ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
"""
FORGET: Final = "DELETE FROM segment_due WHERE id = ANY(%s)"
GO_ON: Final = "UPDATE segment_due SET reads = %s::jsonb, due_at = %s WHERE id = %s"
# The evaluation of a whole segment: one that is under way begins anew.
ASK_FOR_ALL: Final = """
    INSERT INTO segment_due (tenant_id, segment_id, participant_id, reads, due_at) VALUES (%s, %s, '', '{}', %s)
    ON CONFLICT (segment_id, participant_id) WHERE segment_id IS NOT NULL
    DO UPDATE SET reads = '{}', due_at = least(segment_due.due_at, excluded.due_at)
"""
# Counted anew: a customer who was merged or erased left without a word.
SEEN: Final = """
    UPDATE segments s SET evaluated_at = %s,
           member_count = (SELECT count(*) FROM segment_members m WHERE m.segment_id = s.id)
     WHERE id = %s
"""
DYNAMIC: Final = "SELECT id, reads FROM segments WHERE tenant_id = %s AND type = 'dynamic'"


@dataclass(slots=True)
class _Look:
    """Who is to be looked at for one segment, for which of the rows; or for all, from where the last look stopped."""

    rows: list[int] = field(default_factory=list)
    who: set[str] = field(default_factory=set)
    depth: int = 0
    whole: tuple[int, UUID] | None = None


def connect() -> None:
    """Have the engine do this in the background; may be called twice."""
    chores.register(Chore("segments", is_due, lambda slice_s: run(slice_s) > 0))
    if changes.note_events not in event_router.listeners:
        event_router.listeners.append(changes.note_events)


def is_due() -> bool:
    """Whether anybody has to be looked at: one look at an index."""
    return execute(IS_DUE, [clock.now()]).fetchone() is not None


def ask_for_all(segment: Segment, *, after: timedelta = timedelta()) -> None:
    """Have a segment evaluated from scratch soon."""
    execute(ASK_FOR_ALL, [segment.tenant_id, segment.pk, clock.now() + after])
    chores.ring_on_commit()


def run(slice_s: float) -> int:
    """Evaluate until nothing is due or the slice is over; give how many rows were dealt with."""
    until = time.monotonic() + slice_s
    done = 0
    while True:
        with transaction.atomic(durable=True):
            went = _batch()
        done += went
        if not went or time.monotonic() >= until:
            return done


def _batch() -> int:
    now = clock.now()
    taken = execute(TAKE, [now, LIMIT]).fetchall()
    if not taken:
        return 0
    looks = _looks(taken)
    segments = Segment.objects.filter(pk__in=looks, type=Segment.Type.DYNAMIC).order_by("pk")
    held = {segment.pk: segment for segment in segments.select_for_update(skip_locked=True, no_key=True)}
    busy = set(segments.order_by().exclude(pk__in=held).values_list("pk", flat=True))
    # What is for a segment in a colleague's hands stays due; the rest is forgotten first, as looking plans anew.
    kept = {row for pk in busy for row in looks[pk].rows}
    wholes = {look.whole[0] for pk, look in looks.items() if pk in held and look.whole is not None}
    execute(FORGET, [[row[0] for row in taken if row[0] not in kept | wholes]])
    for pk, segment in held.items():
        _look_at(segment, looks[pk])
    return len(taken) - len(kept)


def _looks(taken: Sequence[Any]) -> dict[UUID, _Look]:
    found: dict[UUID, _Look] = {}
    known: dict[str, list[tuple[UUID, Any]]] = {}
    for row_id, tenant_id, participant_id, segment_id, raw in taken:
        reads = orjson.loads(raw)
        if segment_id is not None:
            look = found.setdefault(UUID(segment_id), _Look())
            look.rows.append(row_id)
            if participant_id:
                look.who.add(participant_id)
            else:
                look.whole = (row_id, UUID(reads["after"]) if "after" in reads else evaluation.FIRST)
            continue
        if tenant_id not in known:
            rows = execute(DYNAMIC, [tenant_id]).fetchall()
            known[tenant_id] = [(UUID(key), orjson.loads(each)) for key, each in rows]
        for key, each in known[tenant_id]:
            if changes.concerns(each, reads):
                look = found.setdefault(key, _Look())
                look.rows.append(row_id)
                look.who.add(participant_id)
                look.depth = max(look.depth, reads.get("depth", 0) + 1)
    return found


# What one segment's rule cannot be asked is that segment's trouble alone.
def _look_at(segment: Segment, look: _Look) -> None:
    now = clock.now()
    silent = segment.evaluated_at is None
    try:
        with transaction.atomic():
            if look.who:
                evaluation.judge_some(segment, look.who, now, depth=look.depth, silent=silent)
            if look.whole is not None:
                _go_on(segment, look.whole, silent=silent)
    except (DataError, ProgrammingError):
        logger.exception("segment.unusable", extra={"segment": str(segment.pk)})
        if look.whole is not None:
            execute(FORGET, [[look.whole[0]]])
    except OperationalError as error:
        if not is_out_of_time(error):
            raise
        logger.exception("segment.too_slow", extra={"segment": str(segment.pk)})
        if look.whole is not None:
            execute(FORGET, [[look.whole[0]]])
        ask_for_all(segment, after=PUT_OFF)


def _go_on(segment: Segment, whole: tuple[int, UUID], *, silent: bool) -> None:
    row_id, after = whole
    now = clock.now()
    upto = evaluation.end_of_stretch(segment.tenant_id, after, STRETCH)
    evaluation.judge_stretch(segment, after, upto, now, silent=silent)
    if upto != evaluation.LAST:
        execute(GO_ON, [orjson.dumps({"after": str(upto)}).decode(), now, row_id])
        return
    execute(FORGET, [[row_id]])
    execute(SEEN, [now, segment.pk])
    if silent:
        ask_for_all(segment, after=LOOK_AGAIN)
