"""
Deliveries: an activity per event and handler, written in the transaction of the event, done after its commit.

An event counts once per handler, whoever writes the row first: the key is unique.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from typing import Any, Final

import orjson
from django.db import connection, transaction

from engine import bells
from engine.bells import Bell
from engine.bus import context, handlers, lanes, messages
from engine.bus.subscriptions import Subscription
from engine.connections import execute
from engine.event_store.events import Event
from engine.leases import Lease
from engine.nodes.outcomes import Completed, Failed, Outcome

JSON = dict[str, Any]

KIND: Final = "delivery"
MOST_AT_ONCE: Final = 1000
NAME_LENGTH: Final = 100
ID_LENGTH: Final = 64

# Writes deliveries. Their ids follow each other as their events do: in a lane no new id is below one that is there,
# whatever the clocks of the processes say. What has a lane is held until it is its turn.
WRITE = """
    INSERT INTO activities (id, tenant_id, flow_id, instance_id, saga_id, node_id, lane, kind, target, input,
                            idempotency_key, policy, status, attempts, due_at, worker, held, deaths, created_at)
    SELECT (lpad(to_hex(greatest(n.ms, coalesce(('x' || left(replace(last.id::text, '-', ''), 12))::bit(48)::bigint + 1,
                                                0))), 12, '0') || n.tail)::uuid,
           n.tenant_id, NULL, NULL, NULL, '', n.lane, 'delivery', n.target, n.input,
           n.key, n.policy, 'pending', 0, clock_timestamp(), '', n.lane <> '', 0, clock_timestamp()
      FROM jsonb_to_recordset(%s::jsonb) AS n(ms bigint, tail text, tenant_id uuid, lane text, target text, input jsonb,
           key text, policy jsonb)
      LEFT JOIN LATERAL (
        SELECT a.id FROM activities a
         WHERE a.lane = n.lane AND a.lane <> '' AND a.status IN ('pending', 'running') ORDER BY a.id DESC LIMIT 1
      ) AS last ON true
     ORDER BY n.key
        ON CONFLICT (idempotency_key) DO NOTHING
 RETURNING lane, id
"""


class AfterCommit:
    """What is done once for all deliveries of a transaction, when it has committed."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str]] = []

    def begin(self) -> None:
        """Let the deliveries into their lanes, and say that there is work."""
        lanes.admit(self.written)
        bells.ring(Bell.ACTIVITIES)


def write(matches: Sequence[tuple[Event, Subscription]]) -> int:
    """Write who is to be called with what, in the caller's transaction where there is one; give how many are new."""
    is_own = not connection.in_atomic_block
    written: list[tuple[str, str]] = []
    with transaction.atomic(savepoint=False):
        for start in range(0, len(matches), MOST_AT_ONCE):
            records = _records(matches[start : start + MOST_AT_ONCE])
            written += execute(WRITE, [orjson.dumps(records).decode()]).fetchall()
        queued = [(lane, activity_id) for lane, activity_id in written if lane]
        # A transaction of its own is short, so it may lock the lanes itself, once nothing is left to wait for.
        if is_own and len(queued) <= lanes.MOST_AT_ONCE:
            lanes.admit(queued)
            queued = []
        if written:
            _after_commit().written += queued
    return len(written)


def deliver(lease: Lease) -> Outcome:
    """Call the handler of a delivery; what it raises is the attempt's failure."""
    try:
        handler = handlers.find(lease.target)
    except handlers.UnknownHandler as problem:
        return Failed(str(problem), code="unknown_handler")
    context.call(handler, messages.unpack(lease.input["event"]), timeout_s=lease.policy["timeout_s"])
    return Completed()


def lane_of(address: str, event: Event) -> str:
    """Name the lane of an aggregate's events to a handler; an event of no aggregate has none, and waits for nobody."""
    if not event.aggregate_id:
        return ""
    of = f"{event.tenant_id}\0{event.aggregate_type}\0{event.aggregate_id}"
    return f"{short(address)}#{_digest(of)}"


def key_of(address: str, event: Event) -> str:
    """Give the key under which an event counts once for a handler; ids of two tenants do not meet."""
    return f"{short(address)}:{event.tenant_id}:{short(event.event_id, ID_LENGTH)}"


def short(text: str, length: int = NAME_LENGTH) -> str:
    """Give a text that is not longer than so, and another for another text."""
    return text if len(text) <= length else f"{text[: length - 33]}~{_digest(text)}"


def _records(matches: Sequence[tuple[Event, Subscription]]) -> list[JSON]:
    now_ms = time.time_ns() // 1_000_000
    records = []
    packed: dict[int, JSON] = {}
    for place, (event, subscription) in enumerate(matches):
        address = str(subscription.address)
        told = packed.get(id(event)) or packed.setdefault(id(event), {"event": messages.pack(event)})
        records.append(
            {
                "ms": now_ms,
                "tail": _tail(place),
                "tenant_id": event.tenant_id,
                "lane": lane_of(address, event),
                "target": address,
                "input": told,
                "key": key_of(address, event),
                "policy": _policy(subscription),
            }
        )
    return records


# What stays failing is parked: the dead letter.
def _policy(subscription: Subscription) -> JSON:
    return {
        **subscription.retry.as_json(),
        "timeout_s": subscription.timeout,
        "on_unknown": "retry",
        "explicit": False,
    }


# The rest of a UUID of version 7 after its milliseconds: its twelve bits of order are the place in this statement.
def _tail(place: int) -> str:
    return f"7{place:03x}{secrets.randbits(62) | 1 << 63:016x}"


# Of the same transaction and savepoint: what is rolled back takes its own part of the work along.
def _after_commit() -> AfterCommit:
    if connection.run_on_commit:
        savepoints, function, *_ = connection.run_on_commit[-1]
        known = getattr(function, "__self__", None)
        if isinstance(known, AfterCommit) and savepoints == set(connection.savepoint_ids):
            return known
    made = AfterCommit()
    transaction.on_commit(made.begin, robust=True)
    return made


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
