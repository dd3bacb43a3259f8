"""
Who is in a segment at this moment, also where the segment has not been looked at again yet.

A change of a profile and an event are noted before the runs that they start or wake can ask; whoever is noted is asked
by the rule itself, and nothing is written. So a run sees the segments as its own event has made them.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import orjson
from django.db import DataError, OperationalError, ProgrammingError, transaction
from django.db.models import Q

from engine import clock
from engine.connections import execute, is_out_of_time, one
from marketing.models import Segment
from marketing.segments import changes, evaluation, rules

logger = logging.getLogger(__name__)

# The runs of a batch wait for the answer, each with the locks of its participant.
WITHIN_MS: Final = 2_000
LIMIT: Final = "SELECT set_config('statement_timeout', %s, true)"

# What has been noted of some participants for whichever segments read it, what time has changed of them for one of
# these segments, and which of these segments is still being made.
UNSETTLED: Final = """
    SELECT participant_id, NULL AS segment_id, reads FROM segment_due
     WHERE tenant_id = %(tenant)s AND participant_id = ANY(%(who)s) AND segment_id IS NULL
    UNION ALL
    SELECT d.participant_id, s.id, '{}'
      FROM segments s JOIN segment_due d ON d.segment_id = s.id AND d.participant_id = ANY(%(who)s)
     WHERE s.tenant_id = %(tenant)s AND (s.slug = ANY(%(names)s) OR s.id::text = ANY(%(names)s))
       AND d.due_at <= %(now)s
    UNION ALL
    SELECT '', s.id, '{}' FROM segments s
     WHERE s.tenant_id = %(tenant)s AND (s.slug = ANY(%(names)s) OR s.id::text = ANY(%(names)s))
       AND s.type = 'dynamic' AND s.evaluated_at IS NULL
"""


def settled(
    tenant_id: str, participant_ids: Sequence[str], names: Sequence[str]
) -> Mapping[str, tuple[frozenset[str], frozenset[str]]]:
    """
    Give, by name of a segment (its slug or id), those who had to be asked anew, and those of them who are in it.

    One query where nobody had to.
    """
    facts = {"tenant": tenant_id, "who": list(participant_ids), "names": list(names), "now": clock.now()}
    noted = execute(UNSETTLED, facts).fetchall()
    found: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
    for segment in _dynamic(tenant_id, names) if noted else ():
        asked = _concerned(segment, noted, participant_ids)
        members = _members(segment, asked) if asked else None
        if members is not None:
            found |= dict.fromkeys((segment.slug, str(segment.pk)), (asked, members))
    return found


def _dynamic(tenant_id: str, names: Sequence[str]) -> list[Segment]:
    ids = [name for name in names if _is_id(name)]
    rows = Segment.objects.filter(tenant_id=tenant_id, type=Segment.Type.DYNAMIC)
    return list(rows.filter(Q(slug__in=list(names)) | Q(pk__in=ids)))


def _is_id(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


def _concerned(segment: Segment, noted: Sequence[tuple[str, str | None, str]], who: Sequence[str]) -> frozenset[str]:
    if segment.evaluated_at is None:
        return frozenset(who)
    by_change: dict[str, set[str]] = defaultdict(set)
    found = set()
    for participant_id, segment_id, reads in noted:
        if segment_id is None:
            by_change[reads].add(participant_id)
        elif segment_id == str(segment.pk):
            found.add(participant_id)
    for reads, some in by_change.items():
        if changes.concerns(segment.reads, orjson.loads(reads)):
            found |= some
    return frozenset(found)


# None where the rule cannot be asked: then what was found last counts.
def _members(segment: Segment, who: frozenset[str]) -> frozenset[str] | None:
    try:
        with transaction.atomic():
            rule = rules.parse(segment.rule or {})
            before = one("SHOW statement_timeout")
            execute(LIMIT, [str(WITHIN_MS)])
            members = frozenset(evaluation.matching_among(segment.tenant_id, rule, sorted(who), clock.now()))
            execute(LIMIT, [before])
            return members
    except (DataError, ProgrammingError):
        logger.exception("segment.unusable", extra={"segment": str(segment.pk)})
        return None
    except OperationalError as error:
        if not is_out_of_time(error):
            raise
        logger.exception("segment.too_slow", extra={"segment": str(segment.pk)})
        return None
