"""What becomes of messages whose errand is given up: their workers died too often, or nothing came of any attempt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from engine import activity_owners, clock
from engine.activity_owners import News
from engine.connections import execute
from marketing.deliveries import errands, telling
from marketing.deliveries.telling import Told

# Those that nobody else has in hand; one that was about to be handed over may have been sent.
FAIL: Final = """
    WITH mine AS MATERIALIZED (
        SELECT d.id, CASE WHEN d.claim = '' THEN 'failed' ELSE 'unknown' END AS ending
          FROM activities a CROSS JOIN LATERAL jsonb_array_elements_text(a.input -> 'ids') AS of(id)
          JOIN deliveries d ON d.id = of.id::uuid
         WHERE a.id = ANY(%(activities)s::uuid[]) AND d.status IN ('queued', 'claimed')
           AND (d.claim = '' OR d.claim LIKE a.id || ':%%')
         ORDER BY d.id FOR NO KEY UPDATE OF d
    )
    UPDATE deliveries d
       SET status = mine.ending, reason = %(reason)s, claim = '', due_at = NULL,
           counted_at = CASE mine.ending WHEN 'failed' THEN NULL ELSE d.counted_at END,
           history = d.history || jsonb_build_array(jsonb_build_object(
               'status', mine.ending, 'at', %(now)s::text, 'detail', %(detail)s::text))
      FROM mine WHERE d.id = mine.id
 RETURNING d.tenant_id, d.id, d.channel, d.participant_id, d.flow_id, d.instance_id, d.node_id, d.template_id,
           d.awaited, d.status, d.reason
"""


class Errands:
    """Hears of errands that have ended; the owner of activities of the kind `send`."""

    def lock(self, concerned: Sequence[News]) -> None:
        """Messages are locked when they are moved, and by nobody who holds them while it wants an activity."""

    def hear(self, moved: Sequence[News], metadata: dict[str, Any]) -> None:
        """Let the messages of errands that were given up fail, visibly."""
        for each in moved:
            if each.status in ("parked", "failed"):
                _fail(each)


def connect() -> None:
    """Have the engine tell of errands; may be called twice."""
    activity_owners.register(errands.KIND, Errands())


def _fail(news: News) -> None:
    error = news.error or {}
    facts = {
        "activities": [news.activity_id],
        "reason": "quarantined" if error.get("code") == "quarantined" else "error",
        "detail": str(error.get("detail", ""))[:1000],
        "now": clock.now().isoformat(),
    }
    found = execute(FAIL, facts).fetchall()
    if found:
        telling.tell(found[0][0], [Told(*row[1:]) for row in found])
