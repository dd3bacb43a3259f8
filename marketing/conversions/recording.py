"""Counting conversions: for a whole batch at once, in the transaction that records what happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from engine.connections import execute
from engine.ports import Conversion
from tenants.ids import uuid7

JSON = dict[str, Any]

# A conversion is put down to the message of the run that was clicked last, else to the one that was sent last, as its
# goal has it. What is there already stays; a value and its currency are filled in together.
RECORD: Final = """
    INSERT INTO conversions AS c (id, tenant_id, flow_id, version, instance_id, participant_id, name, value, currency,
                                  variant, attributed_to, attributed_by, metadata, at)
    SELECT n.id, %(tenant)s, n.flow_id, n.version, n.instance_id, n.participant_id, n.name, n.value, n.currency,
           n.variant, message.id, CASE n.attribution WHEN 'holdout' THEN 'holdout' ELSE coalesce(message.how, '') END,
           n.metadata, n.at
      FROM jsonb_to_recordset(%(records)s::jsonb) AS n(id uuid, flow_id uuid, version int, instance_id uuid,
           participant_id text, name text, value numeric, currency text, variant text, metadata jsonb, at timestamptz,
           attribution text)
      LEFT JOIN LATERAL (
        SELECT found.id, found.how FROM (
            SELECT d.id, 'click' AS how, (said ->> 'at')::timestamptz AS moment
              FROM deliveries d CROSS JOIN jsonb_array_elements(d.history) AS said
             WHERE d.instance_id = n.instance_id AND d.tenant_id = %(tenant)s
               AND n.attribution = 'last_click_then_last_send' AND said ->> 'status' = 'clicked'
             UNION ALL
            SELECT d.id, 'send', d.sent_at FROM deliveries d
             WHERE d.instance_id = n.instance_id AND d.tenant_id = %(tenant)s AND n.attribution <> 'entry'
          ) AS found
         WHERE found.moment <= n.at
         ORDER BY found.how, found.moment DESC, found.id DESC
         LIMIT 1
      ) AS message ON true
     ORDER BY n.instance_id, n.name
    ON CONFLICT (instance_id, name) DO UPDATE
       SET currency = CASE WHEN c.value IS NULL AND excluded.currency <> '' THEN excluded.currency
                           ELSE c.currency END,
           value = coalesce(c.value, excluded.value),
           variant = CASE c.variant WHEN '' THEN excluded.variant ELSE c.variant END,
           metadata = excluded.metadata || c.metadata
"""


class Conversions:
    """The engine's ConversionSink, on the table of conversions."""

    def record_many(self, tenant_id: str, conversions: Sequence[Conversion]) -> None:
        """Record conversions in one statement, in the caller's transaction; one that is there is filled in."""
        records = [_record(each) for each in _once(conversions)]
        execute(RECORD, {"tenant": tenant_id, "records": orjson.dumps(records).decode()})


# Of one that comes twice in a batch, the first stands, with what the later ones know besides.
def _once(conversions: Iterable[Conversion]) -> list[Conversion]:
    found: dict[tuple[str, str], Conversion] = {}
    for each in conversions:
        key = (each.instance_id, each.name)
        known = found.get(key)
        found[key] = each if known is None else replace(known, facts=_filled(known.facts, each.facts))
    return list(found.values())


def _filled(known: JSON, more: JSON) -> JSON:
    money = more if "value" not in known else known
    metadata: JSON = {**more.get("metadata", {}), **known.get("metadata", {})}
    worth: JSON = {name: money[name] for name in ("value", "currency") if name in money}
    return {**more, **known, **worth, "metadata": metadata}


def _record(conversion: Conversion) -> JSON:
    facts = conversion.facts
    return {
        "id": str(uuid7()),
        "flow_id": conversion.flow_id,
        "version": conversion.version,
        "instance_id": conversion.instance_id,
        "participant_id": conversion.participant_id,
        "name": conversion.name,
        "value": facts.get("value"),
        "currency": facts.get("currency", ""),
        "variant": facts.get("variant", ""),
        "metadata": facts.get("metadata", {}),
        "at": conversion.at.isoformat(),
        "attribution": conversion.attribution,
    }
