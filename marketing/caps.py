"""
What counts against frequency caps: messages from when they were queued, and slots that caps have let through.

Who reserves a slot, and who queues a message of a flow with a cap of its own, holds the participant's lock until its
transaction ends. So all of them have one order, by the moment of the slot or else of the message, and whoever asks
later sees everything that comes before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import orjson

from engine import clock, retention
from engine.connections import execute
from engine.message_caps import EVERY_CHANNEL, CapQuestion, Reservation, Slot
from tenants.ids import uuid7

SLOT_LASTS: Final = timedelta(hours=24)

# In the order of the ids; a lock that somebody else has is passed over.
HOLD: Final = """
    SELECT id FROM (SELECT DISTINCT unnest(%(who)s::text[]) AS id ORDER BY 1) AS n
     WHERE pg_try_advisory_xact_lock(hashtextextended('cap:' || %(tenant)s || ':' || id, 0))
"""
# A slot is its run's: one that has ended needs it no more.
SLOTS: Final = """
    SELECT s.participant_id, s.instance_id, s.flow_id, s.node_id, s.channel
      FROM cap_slots s JOIN flow_instances i ON i.id = s.instance_id
     WHERE s.tenant_id = %(tenant)s AND s.participant_id = ANY(%(who)s) AND s.reserved_at > %(since)s
       AND i.status IN ('running', 'waiting', 'paused')
     ORDER BY s.reserved_at, s.id
"""
ASKED: Final = """
    jsonb_to_recordset(%(asked)s::jsonb) AS n(place int, participant_id text, flow_id uuid, channel text,
                                              since timestamptz, most int)
"""
# No further than the cap asks.
COUNT: Final = f"""
    SELECT n.place, (SELECT count(*) FROM (
        SELECT FROM deliveries d
         WHERE d.tenant_id = %(tenant)s AND d.participant_id = n.participant_id AND d.counted_at > n.since
           AND (n.channel = 'all' OR d.channel = n.channel) AND (n.flow_id IS NULL OR d.flow_id = n.flow_id)
         LIMIT n.most) AS found)
      FROM {ASKED}
"""
# When the cap has room again: when, of the newest that fill it, the oldest no longer counts.
FREES: Final = f"""
    SELECT n.place, (SELECT until FROM (
        SELECT d.counted_at + (%(now)s::timestamptz - n.since) AS until FROM deliveries d
         WHERE d.tenant_id = %(tenant)s AND d.participant_id = n.participant_id AND d.counted_at > n.since
           AND (n.channel = 'all' OR d.channel = n.channel) AND (n.flow_id IS NULL OR d.flow_id = n.flow_id)
        UNION ALL
        SELECT s.reserved_at + %(lasts)s FROM cap_slots s JOIN flow_instances i ON i.id = s.instance_id
         WHERE s.tenant_id = %(tenant)s AND s.participant_id = n.participant_id
           AND s.reserved_at > %(now)s::timestamptz - %(lasts)s
           AND (n.channel = 'all' OR s.channel IN (n.channel, 'all')) AND (n.flow_id IS NULL OR s.flow_id = n.flow_id)
           AND i.status IN ('running', 'waiting', 'paused')
        ) AS found ORDER BY until DESC OFFSET n.most - 1 LIMIT 1)
      FROM {ASKED}
"""
RESERVE: Final = """
    WITH gone AS (
        DELETE FROM cap_slots s USING unnest(%(of)s::uuid[], %(at)s::text[]) AS old(instance_id, node_id)
         WHERE s.instance_id = old.instance_id AND s.node_id = old.node_id
    )
    INSERT INTO cap_slots (id, tenant_id, flow_id, instance_id, node_id, participant_id, channel, reserved_at,
                           asks_again)
    SELECT n.id, %(tenant)s, n.flow_id, n.instance_id, n.node_id, n.participant_id, n.channel, n.reserved_at,
           n.asks_again
      FROM jsonb_to_recordset(%(new)s::jsonb) AS n(id uuid, flow_id uuid, instance_id uuid, node_id text,
           participant_id text, channel text, reserved_at timestamptz, asks_again bool)
     ORDER BY n.instance_id, n.node_id
    ON CONFLICT (instance_id, node_id)
    DO UPDATE SET channel = excluded.channel, reserved_at = excluded.reserved_at, asks_again = excluded.asks_again
"""
OWN: Final = """
    SELECT id, instance_id, channel, reserved_at, asks_again FROM cap_slots WHERE instance_id = ANY(%s)
     ORDER BY reserved_at, id FOR UPDATE
"""
USE_UP: Final = """
    WITH used AS (DELETE FROM cap_slots WHERE id = ANY(%(slots)s::uuid[]))
    UPDATE deliveries d SET reserved_at = n.reserved_at, asks_again = n.asks_again
      FROM unnest(%(ids)s::uuid[], %(moments)s::timestamptz[], %(again)s::bool[]) AS n(id, reserved_at, asks_again)
     WHERE d.id = n.id
"""
FORGET_SLOTS: Final = "DELETE FROM cap_slots WHERE reserved_at <= %s"


class Queued(Protocol):
    """What caps want to know of a delivery that has been queued."""

    @property
    def id(self) -> Any:
        """Which."""

    @property
    def instance_id(self) -> Any:
        """The run that it is of."""

    @property
    def channel(self) -> str:
        """What it goes by."""


class Caps:
    """The engine's MessageCaps, on the tables of deliveries and slots."""

    def hold_many(self, tenant_id: str, participant_ids: Sequence[str]) -> frozenset[str]:
        """Try the locks of participants, which the transaction's end gives back; give those that were to be had."""
        rows = execute(HOLD, {"tenant": str(tenant_id), "who": list(participant_ids)})
        return frozenset(row[0] for row in rows.fetchall())

    def slots_many(self, tenant_id: str, participant_ids: Sequence[str]) -> Mapping[str, Sequence[Slot]]:
        """Give the slots of live runs that are less than a day old, oldest first."""
        facts = {"tenant": tenant_id, "who": list(participant_ids), "since": clock.now() - SLOT_LASTS}
        found: dict[str, list[Slot]] = defaultdict(list)
        for participant_id, instance_id, flow_id, node_id, channel in execute(SLOTS, facts).fetchall():
            found[participant_id].append(Slot(instance_id, flow_id, node_id, channel))
        return found

    def count_many(self, tenant_id: str, questions: Sequence[CapQuestion]) -> Sequence[int]:
        """Count the messages of each question, in one query."""
        return [row[1] for row in sorted(execute(COUNT, _asked(tenant_id, questions)).fetchall())]

    def frees_many(self, tenant_id: str, questions: Sequence[CapQuestion]) -> Sequence[datetime | None]:
        """Give, where a cap is reached, when it has room again, in one query."""
        facts = {"now": clock.now(), "lasts": SLOT_LASTS}
        rows = execute(FREES, _asked(tenant_id, questions) | facts).fetchall()
        return [row[1] for row in sorted(rows, key=lambda row: row[0])]

    def reserve_many(self, tenant_id: str, reservations: Sequence[Reservation]) -> None:
        """Keep slots; one that another of the same batch replaces is never written."""
        gone = {(each.slot.instance_id, each.replaces) for each in reservations if each.replaces}
        kept = [each for each in reservations if (each.slot.instance_id, each.slot.node_id) not in gone]
        old, new = [list(part) for part in zip(*gone, strict=True)] if gone else ([], []), map(_as_record, kept)
        facts = {"tenant": tenant_id, "of": old[0], "at": old[1], "new": orjson.dumps(list(new)).decode()}
        execute(RESERVE, facts)


def connect() -> None:
    """Have old slots forgotten; may be called twice."""
    if forget_slots not in retention.also:
        retention.also.append(forget_slots)


def queue_many(tenant_id: Any, deliveries: Sequence[Queued]) -> None:
    """
    Have deliveries that were just written use up the slots of their runs, in the caller's transaction.

    They count from their `counted_at` on, which is when they were queued.
    """
    now = clock.now()
    runs = sorted({str(each.instance_id) for each in deliveries if each.instance_id})
    slots: dict[tuple[str, str], list[tuple[str, datetime, bool]]] = defaultdict(list)
    for key, instance_id, channel, reserved_at, asks_again in execute(OWN, [runs]).fetchall() if runs else ():
        slots[instance_id, channel].append((key, reserved_at, asks_again))
    used = []
    for each in deliveries if slots else ():
        mine = slots[str(each.instance_id), each.channel] or slots[str(each.instance_id), EVERY_CHANNEL]
        if mine:
            used.append((str(each.id), *mine.pop(0)))
    if used:
        valid = [(each, at, again) for each, _, at, again in used if at > now - SLOT_LASTS]
        ids, moments, again = [list(part) for part in zip(*valid, strict=True)] if valid else ([], [], [])
        slot_ids = [slot for _, slot, *_ in used]
        execute(USE_UP, {"slots": slot_ids, "ids": ids, "moments": moments, "again": again})


def forget_slots() -> None:
    """Delete slots that nobody came back for."""
    execute(FORGET_SLOTS, [clock.now() - SLOT_LASTS])


def _as_record(reservation: Reservation) -> dict[str, Any]:
    slot = reservation.slot
    return {
        "id": uuid7(),
        "flow_id": slot.flow_id,
        "instance_id": slot.instance_id,
        "node_id": slot.node_id,
        "participant_id": reservation.participant_id,
        "channel": slot.channel,
        "reserved_at": reservation.at,
        "asks_again": reservation.asks_again,
    }


def _asked(tenant_id: str, questions: Sequence[CapQuestion]) -> dict[str, Any]:
    records = [
        {
            "place": place,
            "participant_id": each.participant_id,
            "flow_id": each.flow_id,
            "channel": each.channel,
            "since": each.since,
            "most": each.most,
        }
        for place, each in enumerate(questions)
    ]
    return {"tenant": tenant_id, "asked": orjson.dumps(records).decode()}
