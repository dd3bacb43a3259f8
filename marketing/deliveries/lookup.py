"""The engine's DeliveryLookup: what became of messages, as conditions and filters read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.connections import execute

JSON = dict[str, Any]

# The latest message of each node: an operator's retry, or a message sent once more, counts rather than the first. What
# was complained of may have been read before; of that the history knows.
STATES: Final = """
    SELECT DISTINCT ON (instance_id, node_id) instance_id, node_id, status, reason,
           CASE status WHEN 'complained'
                THEN history @> '[{"status": "opened"}]' OR history @> '[{"status": "clicked"}]'
                ELSE status IN ('opened', 'clicked') END,
           CASE status WHEN 'complained' THEN history @> '[{"status": "clicked"}]' ELSE status = 'clicked' END
      FROM deliveries WHERE tenant_id = %s AND instance_id = ANY(%s::uuid[])
     ORDER BY instance_id, node_id, id DESC
"""


class Deliveries:
    """Reads the states of messages."""

    def states_many(self, tenant_id: str, instance_ids: Sequence[str]) -> Mapping[str, Mapping[str, JSON]]:
        """Give `{state, opened, clicked, reason}` by instance and node, in one query."""
        found: dict[str, dict[str, JSON]] = {}
        rows = execute(STATES, [tenant_id, list(instance_ids)]).fetchall()
        for instance_id, node_id, status, reason, opened, clicked in rows:
            state = {"state": status, "opened": opened, "clicked": clicked, "reason": reason}
            found.setdefault(instance_id, {})[node_id] = state
        return found
