"""Asking a rule of many customers at once, and making the members of a segment what its rule says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from engine import bells
from engine.bells import Bell
from engine.connections import execute
from marketing.models import Segment
from marketing.segments import rules, sql
from marketing.segments.rules import Rule
from marketing.segments.sql import Compiled

# The first and the last id there can be.
FIRST: Final = UUID(int=0)
LAST: Final = UUID(int=2**128 - 1)

NEW_ID: Final = """(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
                     || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid"""

# Who among the chosen customers is in a segment by its rule, and when time alone may change that.
JUDGE: Final = """
    SELECT c.id, c.external_id, {condition} AS matched, {changes_at} AS changes_at
      FROM customers c{joins}
     WHERE {chosen}
"""

# Makes the members what the rule says and tells the world of every change, each under an id of its own. The event is
# the membership's: it cannot be told twice.
APPLY: Final = """
WITH {parts}judged AS MATERIALIZED ({judge}), entered AS (
    INSERT INTO segment_members (id, tenant_id, segment_id, customer_id, since)
    SELECT {new_id}, %(tenant)s, %(segment)s, j.id, %(now)s FROM judged j
     WHERE j.matched
       AND NOT EXISTS (SELECT 1 FROM segment_members m WHERE m.segment_id = %(segment)s AND m.customer_id = j.id)
    ON CONFLICT DO NOTHING
    RETURNING id, customer_id
), gone AS (
    DELETE FROM segment_members m
     WHERE m.segment_id = %(segment)s AND {members}
       AND NOT EXISTS (SELECT 1 FROM judged j WHERE j.id = m.customer_id AND j.matched)
    RETURNING m.id, m.customer_id
), changed AS (
    SELECT id, customer_id, 'entered' AS how FROM entered UNION ALL SELECT id, customer_id, 'left' FROM gone
), told AS (
    INSERT INTO inbound_events (id, tenant_id, event_id, participant_id, event_type, data, occurred_at, received_at,
                                source, entry_node, causation_depth, correlation_id, effects)
    SELECT {new_id}, %(tenant)s, 'segment.' || n.how || ':' || n.id, c.external_id, 'segment.' || n.how,
           %(data)s::jsonb, %(now)s, %(now)s, 'segment', '', %(depth)s, '', '[]'
      FROM changed n JOIN customers c ON c.id = n.customer_id WHERE NOT %(silent)s
    ON CONFLICT (tenant_id, event_id) DO NOTHING
), planned AS (
    INSERT INTO segment_due (tenant_id, segment_id, participant_id, reads, due_at)
    SELECT %(tenant)s, %(segment)s, j.external_id, '{{}}', j.changes_at FROM judged j WHERE j.changes_at IS NOT NULL
    ON CONFLICT (segment_id, participant_id) WHERE segment_id IS NOT NULL DO UPDATE SET due_at = excluded.due_at
), counted AS (
    UPDATE segments SET member_count = member_count + (SELECT count(*) FROM entered) - (SELECT count(*) FROM gone)
     WHERE id = %(segment)s
)
SELECT (SELECT count(*) FROM entered), (SELECT count(*) FROM gone)
"""

OF_STRETCH: Final = "m.customer_id > %(after)s AND m.customer_id <= %(upto)s"
OF_SOME: Final = """m.customer_id IN (SELECT id FROM customers
                          WHERE tenant_id = %(tenant)s AND external_id = ANY(%(who)s))"""

MATCHING: Final = "{with_}SELECT j.external_id FROM ({judge}) AS j WHERE j.matched"
PREVIEW: Final = """WITH {parts}
SELECT (SELECT count(*) FROM judged WHERE matched),
       ARRAY(SELECT external_id FROM judged WHERE matched ORDER BY id DESC LIMIT %(sample)s)"""
END_OF_STRETCH: Final = """
    SELECT id FROM customers WHERE tenant_id = %(tenant)s AND id > %(after)s ORDER BY id OFFSET %(size)s LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Changes:
    """How many customers an evaluation brought into a segment, and how many it took out."""

    entered: int
    left: int


def matching_among(tenant_id: UUID | str, rule: Rule, participant_ids: Sequence[str], now: datetime) -> set[str]:
    """Give those of the participants who match a rule."""
    compiled = sql.compile_rule(rule, now, sql.SOME)
    parameters = compiled.parameters | {"tenant": tenant_id, "who": list(participant_ids)}
    statement = MATCHING.format(with_=_with(compiled), judge=_judge(compiled))
    return {row[0] for row in execute(statement, parameters)}


def preview(tenant_id: UUID | str, rule: Rule, now: datetime, *, sample: int = 10) -> tuple[int, list[str]]:
    """Count the customers who match a rule, and name some of them, the newest first."""
    compiled = sql.compile_rule(rule, now, sql.A_STRETCH)
    parameters = compiled.parameters | {"tenant": tenant_id, "after": FIRST, "upto": LAST, "sample": sample}
    parts = ", ".join((*compiled.parts, f"judged AS MATERIALIZED ({_judge(compiled)})"))
    statement = PREVIEW.format(parts=parts)
    count, names = execute(statement, parameters).fetchone() or (0, [])
    return count, names


def judge_some(segment: Segment, who: Iterable[str], now: datetime, *, depth: int = 0, silent: bool = False) -> Changes:
    """Look at some customers again, in the caller's transaction, with the segment's row locked."""
    compiled = sql.compile_rule(rules.parse(segment.rule or {}), now, sql.SOME)
    return _apply(segment, compiled, OF_SOME, {"who": sorted(who), "depth": depth, "silent": silent})


def judge_stretch(segment: Segment, after: UUID, upto: UUID, now: datetime, *, silent: bool) -> Changes:
    """Look at all customers between two ids, in the caller's transaction, with the segment's row locked."""
    compiled = sql.compile_rule(rules.parse(segment.rule or {}), now, sql.A_STRETCH)
    return _apply(segment, compiled, OF_STRETCH, {"after": after, "upto": upto, "depth": 0, "silent": silent})


def end_of_stretch(tenant_id: UUID | str, after: UUID, size: int) -> UUID:
    """Give the id up to which the next so many customers go; LAST where there are no more."""
    row = execute(END_OF_STRETCH, {"tenant": tenant_id, "after": after, "size": size}).fetchone()
    return LAST if row is None else UUID(row[0])


def _apply(segment: Segment, compiled: Compiled, members: str, how: dict[str, Any]) -> Changes:
    parts = "".join(f"{each}, " for each in compiled.parts)
    statement = APPLY.format(parts=parts, judge=_judge(compiled), new_id=NEW_ID, members=members)
    data = orjson.dumps(event_data(segment)).decode()
    facts = {"tenant": segment.tenant_id, "segment": segment.pk, "data": data}
    entered, left = execute(statement, compiled.parameters | how | facts).fetchone() or (0, 0)
    if entered + left and not how["silent"]:
        bells.ring_on_commit(Bell.ROUTE)
    return Changes(entered, left)


def event_data(segment: Segment) -> dict[str, str]:
    """Give what `segment.entered` and `segment.left` say."""
    return {"segment_id": segment.slug, "segment_key": str(segment.pk), "name": segment.name}


def _judge(compiled: Compiled) -> str:
    return JUDGE.format(
        condition=compiled.condition, changes_at=compiled.changes_at, joins=compiled.joins, chosen=compiled.chosen
    )


def _with(compiled: Compiled) -> str:
    return f"WITH {', '.join(compiled.parts)}\n" if compiled.parts else ""
