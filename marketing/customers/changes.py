"""Tells segments that profiles have changed, in the transaction that changes them."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from engine import clock
from engine.connections import execute

JSON = dict[str, Any]

# Only where a rule could read it: a tenant without such segments pays nothing for its imports.
NOTE = """
    INSERT INTO segment_due (tenant_id, participant_id, reads, due_at)
    SELECT %(tenant)s::uuid, who.id, %(reads)s::jsonb, %(now)s FROM unnest(%(ids)s::text[]) AS who(id)
     WHERE EXISTS (SELECT 1 FROM segments WHERE tenant_id = %(tenant)s::uuid AND type = 'dynamic')
"""


def note(tenant_id: Any, participant_ids: Sequence[str], fields: Iterable[str] = (), *, tags: bool = False) -> None:
    """Have the segments that read these fields, or tags, look at these participants again."""
    names = sorted(fields)
    if participant_ids and (names or tags):
        reads: JSON = {"fields": names, "tags": tags}
        ids = sorted(participant_ids)
        parameters = {"tenant": str(tenant_id), "reads": orjson.dumps(reads).decode(), "now": clock.now(), "ids": ids}
        execute(NOTE, parameters)
