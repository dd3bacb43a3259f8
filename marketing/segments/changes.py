"""
What happened to customers, noted for the segments that read it, in the transaction in which it happened.

What no segment of the tenant reads is not noted; a tenant without segments pays one look at an index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson

from engine import chores, clock
from engine.connections import execute

if TYPE_CHECKING:
    from engine.event_router import Arrival

# Stands for every field: a customer who is new, or replaced.
EVERYTHING: Final = "*"

# One row per participant, where the tenant has a segment that any change can concern.
NOTE: Final = """
    INSERT INTO segment_due (tenant_id, participant_id, reads, due_at)
    SELECT %(tenant)s, who.id, %(reads)s::jsonb, %(now)s FROM unnest(%(who)s::text[]) AS who(id)
     WHERE EXISTS (
        SELECT 1 FROM segments s
         WHERE s.tenant_id = %(tenant)s AND s.type = 'dynamic'
           AND (%(any)s OR s.reads -> 'fields' ?| %(fields)s
                OR (%(tags)s AND (s.reads ->> 'tags')::boolean) OR s.reads -> 'events' ?| %(events)s))
"""

# Which of these kinds of event any segment reads.
READ_EVENTS: Final = """
    SELECT n.tenant_id, n.event_type
      FROM unnest(%s::uuid[], %s::text[]) AS n(tenant_id, event_type)
     WHERE EXISTS (SELECT 1 FROM segments s
                    WHERE s.tenant_id = n.tenant_id AND s.type = 'dynamic' AND s.reads -> 'events' ? n.event_type)
"""


def note(tenant_id: UUID | str, participant_ids: Sequence[str], reads: Mapping[str, Any]) -> None:
    """
    Have the segments that read any of this look at these participants again.

    `reads` is `{fields: [dotted path], tags: bool, events: [type], depth}`; EVERYTHING among the fields means all.
    """
    fields = _roots(reads.get("fields", ()))
    events, tags = sorted(reads.get("events", ())), bool(reads.get("tags"))
    if not participant_ids or not (fields or events or tags):
        return
    # When it was changed last changes with everything else, and a rule may read all the properties at once.
    known = {*fields, "updated_at", "properties"} if fields else {"updated_at"} if tags else set()
    written = {"fields": fields, "tags": tags, "events": events, "depth": reads.get("depth", 0)}
    parameters = {
        "tenant": tenant_id,
        "who": sorted(set(participant_ids)),
        "reads": orjson.dumps(written).decode(),
        "any": bool({EVERYTHING, "properties"} & set(fields)),
        "fields": sorted(known),
        "tags": tags,
        "events": events,
        "now": clock.now(),
    }
    if execute(NOTE, parameters).rowcount:
        chores.ring_on_commit()


def note_events(arrivals: Sequence[Arrival]) -> None:
    """Note the events of a batch that is being routed."""
    kinds = {(each.tenant_id, each.event_type) for each in arrivals}
    tenants, types = [kind[0] for kind in kinds], [kind[1] for kind in kinds]
    for tenant_id, event_type in execute(READ_EVENTS, [tenants, types]).fetchall():
        by_depth: dict[int, set[str]] = {}
        for each in arrivals:
            if (each.tenant_id, each.event_type) == (tenant_id, event_type):
                by_depth.setdefault(each.causation_depth, set()).add(each.participant_id)
        for depth, who in by_depth.items():
            note(tenant_id, sorted(who), {"events": [event_type], "depth": depth})


def concerns(reads: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
    """Tell whether a segment that reads this may have another answer after a change."""
    fields, changed = set(reads.get("fields", ())), set(change.get("fields", ()))
    if EVERYTHING in changed:
        return True
    return bool(
        (changed and ("properties" in changed or fields & {*changed, "properties", "updated_at"}))
        or (change.get("tags") and (reads.get("tags") or "updated_at" in fields))
        or set(reads.get("events", ())) & set(change.get("events", ()))
    )


# `properties.plan.name`, `attributes.plan` and `plan` are one.
def _roots(paths: Iterable[str]) -> list[str]:
    found = set()
    for path in paths:
        first, _, rest = path.partition(".")
        found.add(rest.partition(".")[0] if first in {"properties", "attributes"} and rest else first)
    return sorted("properties" if each == "attributes" else each for each in found)
