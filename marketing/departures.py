"""Caps that are asked of messages which are about to go out: their flow's own, and after a retry those on their way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import orjson

from engine import clock
from engine.connections import execute
from engine.execution.program import Program
from engine.message_caps import EVERY_CHANNEL, Cap
from marketing.caps import SLOT_LASTS, Queued

# What came before a message, or has gone out already: it alone stands against a cap that is asked when it goes out.
# Before one that asks again comes everything of runs that did not fail.
BEFORE: Final = """
    SELECT n.id
      FROM jsonb_to_recordset(%(asked)s::jsonb) AS n(id uuid, participant_id text, instance_id uuid, flow_id uuid,
                                                     channel text, since timestamptz, most int)
      JOIN deliveries own ON own.id = n.id
     CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM (
            SELECT FROM deliveries d
             WHERE d.tenant_id = %(tenant)s AND d.participant_id = n.participant_id AND d.id <> n.id
               AND d.counted_at > n.since
               AND (n.channel = 'all' OR d.channel = n.channel) AND (n.flow_id IS NULL OR d.flow_id = n.flow_id)
               AND (d.status NOT IN ('queued', 'claimed')
                    OR (d.asks_again, coalesce(d.reserved_at, d.counted_at), d.reserved_at IS NULL, d.id)
                     < (own.asks_again, coalesce(own.reserved_at, own.counted_at, %(now)s), own.reserved_at IS NULL,
                        own.id))
            UNION ALL
            SELECT FROM cap_slots s JOIN flow_instances i ON i.id = s.instance_id
             WHERE s.tenant_id = %(tenant)s AND s.participant_id = n.participant_id
               AND s.instance_id <> n.instance_id AND i.status IN ('running', 'waiting', 'paused')
               AND (n.channel = 'all' OR s.channel IN (n.channel, 'all'))
               AND (n.flow_id IS NULL OR s.flow_id = n.flow_id)
               AND s.reserved_at > %(now)s::timestamptz - %(lasts)s
               AND (s.asks_again, s.reserved_at)
                <= (own.asks_again, coalesce(own.reserved_at, own.counted_at, %(now)s))
             LIMIT n.most
        ) AS found
     ) AS before
     WHERE before.n >= n.most
"""
TRANSACTIONAL: Final = "transactional"
OUTCOMES: Final = "SELECT id, context -> 'outcomes' FROM flow_instances WHERE id = ANY(%s::uuid[])"


class Leaving(Queued, Protocol):
    """What caps want to know of a delivery that is about to go out."""

    @property
    def flow_id(self) -> Any:
        """The flow that it is of."""

    @property
    def participant_id(self) -> str:
        """Whom it is for."""

    @property
    def message_class(self) -> str:
        """Transactional messages count, and are never held back."""

    @property
    def node_id(self) -> str:
        """The node that it is of."""

    @property
    def asks_again(self) -> bool:
        """Whether it asks the caps on its way once more: its run had failed."""

    @property
    def program(self) -> Program | None:
        """What its run runs by."""


def exceeded_many(tenant_id: Any, deliveries: Sequence[Leaving]) -> set[str]:
    """
    Give the ids of those that a cap holds back, by what was queued, sent or let through before them.

    Asked when they are about to go out: their flow's own cap, and of those of a run that was retried the caps that had
    let them through before it failed. Transactional messages are never held back.
    """
    asked = [(each, cap) for each in deliveries if (cap := _own_cap(each)) is not None]
    asked += _passed_before(deliveries)
    if not asked:
        return set()
    now = clock.now()
    records = [_as_question(each, cap, now) for each, cap in asked]
    facts = {"tenant": str(tenant_id), "asked": orjson.dumps(records).decode(), "now": now, "lasts": SLOT_LASTS}
    return {row[0] for row in execute(BEFORE, facts).fetchall()}


def _own_cap(delivery: Leaving) -> Cap | None:
    if delivery.program is None or delivery.message_class == TRANSACTIONAL:
        return None
    settings = delivery.program.settings.frequency_cap
    return settings.as_cap() if settings and settings.channel in (EVERY_CHANNEL, delivery.channel) else None


def _passed_before(deliveries: Sequence[Leaving]) -> list[tuple[Leaving, Cap]]:
    again = [each for each in deliveries if each.asks_again and each.message_class != TRANSACTIONAL]
    if not again:
        return []
    rows = execute(OUTCOMES, [sorted({str(each.instance_id) for each in again})]).fetchall()
    outcomes = {key: orjson.loads(found) for key, found in rows}
    return [(each, cap) for each in again for cap in _on_its_way(each, outcomes.get(str(each.instance_id), {}))]


def _on_its_way(delivery: Leaving, outcomes: Mapping[str, Any]) -> Iterator[Cap]:
    program = delivery.program
    if program is None:
        return
    for node_id, cap in program.caps.items():
        concerns = cap.channel in (EVERY_CHANNEL, delivery.channel)
        if concerns and outcomes.get(node_id) == "allowed" and program.can_reach(node_id, delivery.node_id):
            yield cap


def _as_question(delivery: Leaving, cap: Cap, now: datetime) -> dict[str, Any]:
    flow_id = str(delivery.flow_id) if delivery.flow_id else None
    return {
        "id": str(delivery.id),
        "participant_id": delivery.participant_id,
        "instance_id": str(delivery.instance_id),
        "flow_id": flow_id if cap.scope == "flow" else None,
        "channel": cap.channel,
        "since": now - cap.time_window,
        "most": cap.max_messages,
    }
