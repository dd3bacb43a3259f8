"""Who is in which segment, for a whole batch at once."""

from collections.abc import Mapping, Sequence
from typing import Final

from engine.connections import execute
from marketing.going_on import GOING_ON
from marketing.segments import freshness

# A segment goes by its slug or by its id; a merged participant is the one that goes on.
MEMBERSHIPS: Final = f"""
    SELECT asked.external_id, s.slug, s.id::text
      FROM {GOING_ON}
      JOIN segments s ON s.tenant_id = %(tenant)s AND (s.slug = ANY(%(names)s) OR s.id::text = ANY(%(names)s))
     WHERE EXISTS (SELECT FROM segment_members m WHERE m.segment_id = s.id AND m.customer_id = c.id OFFSET 0)
"""
EXISTING: Final = """
    SELECT slug, id::text FROM segments
     WHERE tenant_id = %(tenant)s AND (slug = ANY(%(names)s) OR id::text = ANY(%(names)s))
"""


class Memberships:
    """The engine's SegmentLookup, on the tables of segments."""

    def memberships_many(
        self, tenant_id: str, participant_ids: Sequence[str], segment_ids: Sequence[str]
    ) -> Mapping[str, frozenset[str]]:
        """Give, by participant, which of the segments each is in, under the names that were asked for."""
        asked = {"tenant": tenant_id, "who": list(participant_ids), "names": list(segment_ids)}
        # Before the members are read: what is looked at in between is among them then.
        settled = freshness.settled(tenant_id, participant_ids, segment_ids)
        found: dict[str, set[str]] = {}
        for who, slug, key in execute(MEMBERSHIPS, asked).fetchall():
            found.setdefault(who, set()).update((slug, key))
        for name, (anew, members) in settled.items():
            for who in anew:
                found.setdefault(who, set()).discard(name)
            for who in members:
                found[who].add(name)
        wanted = frozenset(segment_ids)
        return {who: wanted & names for who, names in found.items()}

    def existing(self, tenant_id: str, segment_ids: Sequence[str]) -> frozenset[str]:
        """Tell which of the segments there are."""
        rows = execute(EXISTING, {"tenant": tenant_id, "names": list(segment_ids)}).fetchall()
        return frozenset(segment_ids) & {name for row in rows for name in row}
