"""What participants want to hear, for a whole batch at once."""

from collections.abc import Mapping, Sequence

import orjson

from engine.connections import execute
from engine.ports import Preferences
from marketing.going_on import GOING_ON

# Preferences live with the profile (a merged one's with the one that goes on), consents beside it.
PREFERENCES = f"""
    SELECT asked.external_id, c.preferences FROM {GOING_ON} WHERE c.preferences <> '{{}}'::jsonb
"""
CONSENTS = """
    SELECT asked.id, c.topic, c.status
      FROM unnest(%(ids)s::text[]) AS asked(id)
      LEFT JOIN LATERAL (
        SELECT merged_into FROM customers
         WHERE tenant_id = %(tenant)s AND external_id = asked.id AND state = 'merged' OFFSET 0
      ) AS m ON true
     CROSS JOIN LATERAL (
        SELECT topic, status FROM consents
         WHERE tenant_id = %(tenant)s AND participant_id = coalesce(m.merged_into, asked.id) OFFSET 0
      ) AS c
"""
OPT_IN = "SELECT slug FROM topics WHERE tenant_id = %s AND opt_in"
EXISTING = "SELECT slug FROM topics WHERE tenant_id = %s AND slug = ANY(%s)"


class StoredPreferences:
    """The engine's PreferenceLookup: preferences, consents and the defaults of topics."""

    def fetch_many(self, tenant_id: str, participant_ids: Sequence[str]) -> Mapping[str, Preferences]:
        """Give what each has said, also of those who have said nothing, in three queries."""
        ids = list(participant_ids)
        channels = {
            who: orjson.loads(said) for who, said in execute(PREFERENCES, {"tenant": tenant_id, "who": ids}).fetchall()
        }
        consents: dict[str, dict[str, str]] = {}
        for who, topic, status in execute(CONSENTS, {"tenant": tenant_id, "ids": ids}).fetchall():
            consents.setdefault(who, {})[topic] = status
        opt_in = frozenset(row[0] for row in execute(OPT_IN, [tenant_id]).fetchall())
        return {who: Preferences(channels.get(who, {}), consents.get(who, {}), opt_in) for who in ids}

    def topics(self, tenant_id: str, names: Sequence[str]) -> frozenset[str]:
        """Tell which of the topics there are."""
        return frozenset(row[0] for row in execute(EXISTING, [tenant_id, list(names)]).fetchall())
