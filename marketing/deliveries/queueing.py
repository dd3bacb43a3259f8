"""The engine's MessageSender: messages become rows in the transaction of the step that says them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from engine import clock, connections
from engine.connections import execute, line
from engine.ports import Message
from marketing import caps
from marketing.deliveries import errands, telling
from marketing.deliveries.telling import Told
from tenants.ids import uuid7

JSON = dict[str, Any]

COPY: Final = """
    COPY deliveries (id, tenant_id, flow_id, instance_id, node_id, key, participant_id, channel, provider, recipient,
                     status, reason, message_class, topic, template_id, payload, provider_message_id, collapse_key,
                     history, expires_at, claim, attempts, awaited, counted_at, created_at, shown_until)
    FROM STDIN
"""
# Messages that a newer one of their key takes the place of; one that is on its way to the provider is not among them.
COLLAPSE: Final = """
    WITH older AS MATERIALIZED (
        SELECT d.id FROM deliveries d
          JOIN unnest(%(who)s::text[], %(channels)s::text[], %(keys)s::text[], %(ids)s::uuid[])
               AS n(participant_id, channel, key, id)
            ON d.participant_id = n.participant_id AND d.channel = n.channel AND d.collapse_key = n.key AND d.id < n.id
         WHERE d.tenant_id = %(tenant)s AND d.status = 'queued' AND d.collapse_key <> ''
         ORDER BY d.id FOR NO KEY UPDATE OF d
    )
    UPDATE deliveries d
       SET status = 'skipped', reason = 'collapsed', counted_at = NULL, due_at = NULL,
           history = d.history || jsonb_build_array(jsonb_build_object(
               'status', 'skipped', 'at', %(now)s::text, 'detail', 'A newer message has taken its place.'))
      FROM older WHERE d.id = older.id AND d.status = 'queued'
 RETURNING d.id, d.channel, d.participant_id, d.flow_id, d.instance_id, d.node_id, d.template_id, d.awaited,
           d.status, d.reason
"""
# An end from outside takes back what nobody is handing over.
CANCEL: Final = """
    WITH mine AS MATERIALIZED (
        SELECT id FROM deliveries WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s::uuid[])
         ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE deliveries d
       SET status = 'cancelled', reason = 'run_ended', counted_at = NULL, due_at = NULL,
           history = d.history || jsonb_build_array(jsonb_build_object(
               'status', 'cancelled', 'at', %(now)s::text, 'detail', 'Its run was ended before it was sent.'))
      FROM mine WHERE d.id = mine.id AND d.status IN ('queued', 'claimed') AND d.claim = ''
"""
KNOWN: Final = "SELECT key FROM deliveries WHERE key = ANY(%s)"
# What the columns hold is no part of the payload, and what the version's graph holds is not kept for each message.
_COLUMNS: Final = frozenset(
    ("template_id", "message_class", "topic", "expires_at", "collapse_key", "awaited", "shown_until")
)
_IN_GRAPH: Final = frozenset(("content", "locales"))


class Sender:
    """Queues messages, and takes them back."""

    def enqueue_many(self, tenant_id: str, messages: Sequence[Message]) -> Sequence[JSON]:
        """Queue messages durably, in the caller's transaction; give the results of those that are new, in order."""
        now = clock.now()
        messages = _new(messages)
        ids = [message.delivery_id or str(uuid7()) for message in messages]
        rows = list(zip(ids, messages, strict=True))
        connections.copy(COPY, (_row(tenant_id, key, message, now.isoformat()) for key, message in rows))
        caps.queue_many(tenant_id, [_Queued(key, message) for key, message in rows])
        _collapse(tenant_id, rows)
        errands.run_many(tenant_id, [(key, message.flow_id or None) for key, message in rows])
        return [{"delivery_id": key, "channel": message.channel, "status": "queued"} for key, message in rows]

    def cancel_many(self, tenant_id: str, delivery_ids: Sequence[str]) -> None:
        """Take back what has not been handed over yet, in the caller's transaction."""
        execute(CANCEL, {"tenant": tenant_id, "ids": list(delivery_ids), "now": clock.now().isoformat()})


# A step's message is written with its step, once; what a roll-back says may have been said by an attempt that died.
def _new(messages: Sequence[Message]) -> Sequence[Message]:
    if doubtful := [message.key for message in messages if message.may_repeat]:
        known = {row[0] for row in execute(KNOWN, [doubtful]).fetchall()}
        return [message for message in messages if message.key not in known]
    return messages


class _Queued:
    # A message as caps see it.
    def __init__(self, key: str, message: Message) -> None:
        self.id = key
        self.flow_id, self.instance_id = message.flow_id or None, message.instance_id
        self.participant_id, self.channel = message.participant_id, message.channel
        self.message_class = message.payload.get("message_class", "marketing")


def _collapse(tenant_id: str, rows: Sequence[tuple[str, Message]]) -> None:
    newer = [(key, message) for key, message in rows if message.payload.get("collapse_key")]
    if not newer:
        return
    now = clock.now().isoformat()
    columns = {
        "ids": [key for key, _ in newer],
        "who": [message.participant_id for _, message in newer],
        "channels": [message.channel for _, message in newer],
        "keys": [message.payload["collapse_key"] for _, message in newer],
    }
    older = execute(COLLAPSE, columns | {"tenant": tenant_id, "now": now}).fetchall()
    telling.tell(tenant_id, [Told(*row) for row in older])


def _row(tenant_id: str, delivery_id: str, message: Message, now: str) -> str:
    said = message.payload
    left_out = _COLUMNS | _IN_GRAPH if message.flow_id and "version" in said else _COLUMNS
    rest = {name: value for name, value in said.items() if name not in left_out}
    history = f'[{{"status": "queued", "at": "{now}", "detail": ""}}]'
    return line(
        delivery_id, tenant_id, message.flow_id or None, message.instance_id or None, message.node_id, message.key,
        message.participant_id, message.channel, "", "", "queued", "", said.get("message_class", "marketing"),
        said.get("topic", ""), said.get("template_id", ""), orjson.dumps(rest).decode(), "",
        said.get("collapse_key", "")[:255], history, said.get("expires_at"), "", 0, bool(said.get("awaited")), now, now,
        said.get("shown_until"),
    )  # fmt: skip
