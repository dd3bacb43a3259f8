"""Moving messages along their states, set-based: by one arrow or several at once, and only whoever holds the claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from engine.connections import execute
from marketing.customers.erasure import PREFIX as PSEUDONYM
from marketing.models import Delivery

JSON = dict[str, Any]


def _paths(arrows: Mapping[str, frozenset[str]]) -> list[tuple[str, str]]:
    reached = {state: {state, *targets} for state, targets in arrows.items()}
    for middle in arrows:
        for state, found in reached.items():
            reached[state] = found | reached[middle] if middle in found else found
    return sorted((source, target) for source, targets in reached.items() for target in targets)


# From where to where a message may go; a later status takes those before it along.
PATHS: Final = frozenset(_paths(Delivery.TRANSITIONS.arrows))
# Asked by one look into a table of hashes; pairs of columns would be compared one by one.
_ARROWS: Final = ", ".join(f"'{source}>{target}'" for source, target in sorted(PATHS))
_MAY: Final = f"d.status || '>' || n.status = ANY(ARRAY[{_ARROWS}])"

# Locks messages in the order of their ids and moves those that have the claim which their record names. The holder of a
# claim is always heard: a provider's report may have been quicker than its verdict, and then only the rest is noted.
# Of whom is erased meanwhile no word is noted.
MOVE: Final = f"""
    WITH given AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(%(records)s::jsonb) AS n(
               id uuid, was_claim text, status text, reason text, detail text, claim text, provider text,
               recipient text, rendered jsonb, template_version int, message_id text, tries int, due_at timestamptz,
               sent_at timestamptz)
    ), locked AS MATERIALIZED (
        SELECT d.id FROM deliveries d JOIN given USING (id) ORDER BY d.id FOR NO KEY UPDATE OF d
    )
    UPDATE deliveries d
       SET status = CASE WHEN {_MAY} THEN n.status ELSE d.status END,
           reason = CASE WHEN {_MAY} THEN n.reason ELSE d.reason END,
           claim = n.claim, due_at = n.due_at, attempts = d.attempts + n.tries,
           provider = coalesce(n.provider, d.provider), recipient = coalesce(n.recipient, d.recipient),
           rendered = coalesce(n.rendered, d.rendered),
           template_version = coalesce(n.template_version, d.template_version),
           provider_message_id = coalesce(n.message_id, d.provider_message_id),
           sent_at = coalesce(n.sent_at, d.sent_at),
           counted_at = CASE WHEN n.status IN ('skipped', 'failed', 'cancelled') THEN NULL
                             WHEN n.sent_at > d.counted_at + interval '1 minute' THEN n.sent_at
                             ELSE d.counted_at END,
           history = d.history || jsonb_build_array(jsonb_build_object(
               'status', n.status, 'at', %(now)s::text,
               'detail', CASE WHEN starts_with(d.participant_id, '{PSEUDONYM}') THEN '' ELSE n.detail END))
      FROM locked JOIN given n USING (id)
     WHERE d.id = n.id AND d.claim = n.was_claim
       AND ({_MAY} OR n.was_claim <> '')
 RETURNING d.id, d.participant_id
"""


@dataclass(frozen=True, slots=True)
class Move:
    """
    Where one message goes; None leaves a column as it is.

    `was_claim` is the claim that the message must have: '' when nobody is handing it over. `due_at` (engine time) has
    it rest until then.
    """

    id: str
    status: str
    reason: str = ""
    detail: str = ""
    was_claim: str = ""
    claim: str = ""
    provider: str | None = None
    recipient: str | None = None
    rendered: JSON | None = None
    template_version: int | None = None
    message_id: str | None = None
    tries: int = 0
    due_at: datetime | None = None
    sent_at: datetime | None = None


def move(moves: Sequence[Move], now: datetime) -> dict[str, str]:
    """
    Make the moves in the caller's transaction; give the ids of those that were still where they had been seen.

    Each with whose message it is by now: somebody who was erased since has another name.
    """
    if not moves:
        return {}
    records = orjson.dumps(list(moves)).decode()
    return dict(execute(MOVE, {"records": records, "now": now.isoformat()}).fetchall())
