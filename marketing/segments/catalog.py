"""What is done to segments from outside: made, changed, filled by hand."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson
from django.db import IntegrityError, transaction

from engine import bells, clock
from engine.bells import Bell
from engine.connections import execute
from engine.expressions import InvalidRule
from marketing.errors import SegmentIsDynamic, SegmentIsStatic
from marketing.models import Segment
from marketing.segments import due, evaluation, rules
from tenants import jsontext
from tenants.errors import Invalid, InvalidInput, NameTaken, NotFound, Problem
from tenants.models import Tenant

JSON = dict[str, Any]

SLUG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}", re.ASCII)

# One customer goes into a segment, or out of it, and the world is told; nothing where that is so already.
PUT: Final = f"""
WITH changed AS (
    INSERT INTO segment_members (id, tenant_id, segment_id, customer_id, since)
    SELECT {evaluation.NEW_ID}, %(tenant)s, %(segment)s, c.id, %(now)s FROM customers c
     WHERE c.tenant_id = %(tenant)s AND c.external_id = %(who)s AND c.state = 'active'
    ON CONFLICT (segment_id, customer_id) DO NOTHING RETURNING id
)"""
TAKE: Final = """
WITH changed AS (
    DELETE FROM segment_members m USING customers c
     WHERE m.segment_id = %(segment)s AND m.customer_id = c.id
       AND c.tenant_id = %(tenant)s AND c.external_id = %(who)s RETURNING m.id
)"""
TELL: Final = f""", told AS (
    INSERT INTO inbound_events (id, tenant_id, event_id, participant_id, event_type, data, occurred_at, received_at,
                                source, entry_node, causation_depth, correlation_id, effects)
    SELECT {evaluation.NEW_ID}, %(tenant)s, 'segment.' || %(how)s::text || ':' || n.id, %(who)s,
           'segment.' || %(how)s::text, %(data)s::jsonb, %(now)s, %(now)s, 'segment', '', 0, '', '[]' FROM changed n
), counted AS (
    UPDATE segments SET member_count = member_count + %(step)s * (SELECT count(*) FROM changed) WHERE id = %(segment)s
)
SELECT count(*) FROM changed
"""
IS_CUSTOMER: Final = "SELECT 1 FROM customers WHERE tenant_id = %s AND external_id = %s AND state = 'active'"


def read_rule(raw: Any, attr: str = "rule") -> rules.Rule:
    """Read a rule, or raise Invalid with the place of the trouble."""
    try:
        # A rule may also come from a form, which lets more pass than the API does.
        jsontext.loads(orjson.dumps(raw))
        return rules.parse(raw)
    except (InvalidInput, TypeError) as error:
        raise Invalid([Problem("invalid_rule", str(error), attr)]) from error
    except InvalidRule as error:
        place = f"{attr}.{error.path}" if error.path else attr
        raise Invalid([Problem("invalid_rule", f"{error.detail[:1].upper()}{error.detail[1:]}.", place)]) from error


def create(tenant: Tenant, given: JSON) -> Segment:
    """Make a segment; a dynamic one is evaluated in the background, and tells nothing of its first members."""
    now = clock.now()
    kind = given.get("type") or Segment.Type.DYNAMIC
    segment = Segment(tenant=tenant, type=kind, created_at=now, updated_at=now)
    segment.slug, segment.name = given["slug"], given.get("name") or given["slug"]
    segment.description = given.get("description", "")
    _put_rule(segment, given.get("rule"))
    with transaction.atomic():
        try:
            with transaction.atomic():
                segment.save(force_insert=True)
        except IntegrityError as error:
            raise NameTaken("There is a segment of this slug.", attr="slug") from error
        if segment.type == Segment.Type.DYNAMIC:
            due.ask_for_all(segment)
    return segment


def change(segment: Segment, given: JSON) -> Segment:
    """Change a segment; under a new rule everybody is looked at again, and those who change are told of."""
    with transaction.atomic():
        locked = Segment.objects.select_for_update(no_key=True).filter(pk=segment.pk).first()
        if locked is None:
            raise NotFound("There is no segment with this id.")
        locked.name = given.get("name") or locked.name
        locked.description = given.get("description", locked.description)
        is_new = "rule" in given and given["rule"] != locked.rule
        if "rule" in given:
            _put_rule(locked, given["rule"])
        locked.updated_at = clock.now()
        locked.save(update_fields=["name", "description", "rule", "reads", "updated_at"])
        if is_new:
            due.ask_for_all(locked)
    return locked


def evaluate(segment: Segment) -> None:
    """Have a dynamic segment evaluated from scratch soon."""
    if segment.type != Segment.Type.DYNAMIC:
        raise SegmentIsStatic
    with transaction.atomic():
        due.ask_for_all(segment)


def put_member(segment: Segment, participant_id: str) -> bool:
    """Put a customer into a static segment; tell whether that is new. NotFound for an unknown one."""
    return _move(segment, participant_id, PUT, how="entered", step=1)


def take_member(segment: Segment, participant_id: str) -> bool:
    """Take a customer out of a static segment; tell whether they were in it. NotFound for an unknown one."""
    return _move(segment, participant_id, TAKE, how="left", step=-1)


def _move(segment: Segment, participant_id: str, statement: str, *, how: str, step: int) -> bool:
    if segment.type != Segment.Type.STATIC:
        raise SegmentIsDynamic
    data = orjson.dumps(evaluation.event_data(segment)).decode()
    facts = {"tenant": segment.tenant_id, "segment": segment.pk, "who": participant_id, "now": clock.now()}
    with transaction.atomic():
        row = execute(statement + TELL, {**facts, "how": how, "step": step, "data": data}).fetchone()
        moved = bool(row and row[0])
        if moved:
            bells.ring_on_commit(Bell.ROUTE)
        elif execute(IS_CUSTOMER, [segment.tenant_id, participant_id]).fetchone() is None:
            raise NotFound("There is no customer with this external_id.")
    return moved


def check_rule(kind: str, raw: Any) -> rules.Rule | None:
    """Read the rule of a segment of this type, None for a static one; Invalid where they do not go together."""
    if kind == Segment.Type.STATIC:
        if raw is not None:
            detail = "A static segment has no rule; its members are put into it."
            raise Invalid([Problem("unexpected_rule", detail, "rule")])
        return None
    if raw is None:
        raise Invalid([Problem("required", "A dynamic segment needs a rule.", "rule")])
    return read_rule(raw)


def _put_rule(segment: Segment, raw: Any) -> None:
    rule = check_rule(segment.type, raw)
    if rule is not None:
        segment.rule, segment.reads = raw, rules.reads_of(rule)
