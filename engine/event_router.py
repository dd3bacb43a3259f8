"""Inbound events, each routed once: waits first, then goals and exits, then what it starts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from django.db import transaction

from engine import bells, clock, ports, routing, values
from engine.bells import Bell
from engine.conf import engine_settings
from engine.connections import execute
from engine.execution import claim
from engine.execution.batch import CULPABLE
from engine.execution.claim import Claims

JSON = dict[str, Any]
logger = logging.getLogger(__name__)

# Finds events that nobody routed, an equal share per tenant, and takes the lock of each one's participant. The lock is
# only tried, row by row in the order of the ids, so a colleague's participants are passed over and nobody waits for
# anybody. The order is settled below the try: sorted above it, all that are waiting would be locked.
TAKE_PARTICIPANTS = """
    WITH RECURSIVE busy AS (
        (SELECT tenant_id FROM inbound_events WHERE routed_at IS NULL AND participant_id <> ''
          ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT e.tenant_id FROM inbound_events e WHERE e.routed_at IS NULL AND e.participant_id <> ''
            AND e.tenant_id > busy.tenant_id ORDER BY e.tenant_id LIMIT 1)
          FROM busy WHERE busy.tenant_id IS NOT NULL
    ), share AS MATERIALIZED (
        SELECT tenant_id, greatest(1, %(limit)s / count(*) OVER ())::int AS most
          FROM busy WHERE tenant_id IS NOT NULL ORDER BY random() LIMIT %(limit)s
    )
    SELECT DISTINCT taken.tenant_id, taken.participant_id
      FROM share CROSS JOIN LATERAL (
        SELECT e.tenant_id, e.participant_id
          FROM (SELECT tenant_id, participant_id FROM inbound_events
                 WHERE tenant_id = share.tenant_id AND routed_at IS NULL AND participant_id <> ''
                 ORDER BY id OFFSET 0) AS e
         WHERE pg_try_advisory_xact_lock(
                   hashtextextended('participant:' || e.tenant_id::text || ':' || e.participant_id, 0))
         LIMIT share.most
      ) AS taken
"""

# Reads anew under the locks: what a colleague routed in between is gone, and a participant's earlier events are all
# here. At most some of each participant's, so that one who is flooded does not fill the transaction.
READ_UNROUTED = """
    SELECT e.id, e.tenant_id, e.participant_id, e.event_id, e.event_type, e.data, e.occurred_at, e.received_at,
    e.flow_id, e.entry_node,
           e.causation_depth, e.correlation_id
      FROM unnest(%(tenants)s::uuid[], %(participants)s::text[]) AS p(tenant_id, participant_id)
     CROSS JOIN LATERAL (
        -- The fence keeps the planner from walking the primary key for the sake of the order.
        SELECT * FROM (
            SELECT * FROM inbound_events e
             WHERE e.tenant_id = p.tenant_id AND e.participant_id = p.participant_id AND e.routed_at IS NULL
               AND e.event_id <> ''
            OFFSET 0
          ) AS e ORDER BY e.id LIMIT 20
      ) AS e
     ORDER BY e.id
"""

# What came in under an id that is another's by now is handed to that one, and routed under its lock.
HAND_ON = """
    UPDATE inbound_events e SET participant_id = n.participant_id
      FROM unnest(%(ids)s::uuid[], %(participants)s::text[]) AS n(id, participant_id) WHERE e.id = n.id
"""

MARK_ROUTED = """
    UPDATE inbound_events e SET routed_at = %s, effects = n.effects
      FROM jsonb_to_recordset(%s::jsonb) AS n(id uuid, effects jsonb) WHERE e.id = n.id
"""

# What layers above do with the events of a batch, in the transaction that routes them.
listeners: list[Callable[[Sequence[Arrival]], None]] = []

IS_WAITING = "SELECT 1 FROM inbound_events WHERE routed_at IS NULL AND participant_id <> '' LIMIT 1"


@dataclass(slots=True)
class Arrival:
    """An event on its way through the router, and what it has done so far."""

    id: str
    tenant_id: str
    participant_id: str
    event_id: str
    event_type: str
    data: JSON
    occurred_at: datetime
    received_at: datetime
    flow_id: str | None
    entry_node: str
    causation_depth: int
    correlation_id: str
    effects: list[JSON] = field(default_factory=list)

    def as_cause(self) -> JSON:
        """Give what the metadata of its effects says of it."""
        return {"correlation_id": self.correlation_id, "causation_id": self.event_id}


def route(*, slice_s: float | None = None, task_id: str = "") -> int:
    """
    Route whatever is in the inbox until nothing is, or the slice is over; give the number of events routed.

    A batch is one transaction: an event is marked as routed together with everything that it did. Harmless when
    doubled.
    """
    settings = engine_settings()
    until = time.monotonic() + (settings.slice_s if slice_s is None else slice_s)
    metadata = {"actor": "event", "task_id": task_id}
    routed = 0
    while time.monotonic() < until:
        claim.bury_the_dead_now_and_then()
        done = _route_batch(settings.router_batch_size, metadata)
        routed += done
        if not done:
            return routed
    bells.ring(Bell.ROUTE)
    return routed


def is_waiting() -> bool:
    """Whether any event waits to be routed: one look at an index."""
    return execute(IS_WAITING).fetchone() is not None


def _route_batch(limit: int, metadata: dict[str, str]) -> int:
    keys: list[tuple[str, str]] = []
    try:
        with claim.claims(metadata["task_id"]) as claims, transaction.atomic(durable=True):
            keys = [(row[0], row[1]) for row in execute(TAKE_PARTICIPANTS, {"limit": limit}).fetchall()]
            if len(keys) >= limit // 2:
                bells.ring(Bell.ROUTE)
            return _route_participants(keys, metadata, claims)
    except CULPABLE as error:
        logger.warning("routing.undone", extra={"participants": len(keys), "error": repr(error)})
        return sum(_route_alone(key, metadata) for key in keys)


# What one participant's event does cannot be stored: it is marked, and the others go on without it. Nobody is run here,
# so that what cannot be stored is the event's own doing: what its instances do is theirs, and the loop's to judge.
def _route_alone(key: tuple[str, str], metadata: dict[str, str]) -> int:
    try:
        with transaction.atomic(durable=True):
            return _route_participants([key], metadata, None)
    except CULPABLE as error:
        logger.exception("event.unroutable", extra={"participant": key[1]})
        with transaction.atomic(durable=True):
            first = _read([key])[:1]
            for arrival in first:
                arrival.effects = [{"kind": "refused", "code": "error", "detail": values.storable(str(error), 500)}]
            _mark(first)
        return len(first)


def _route_participants(keys: list[tuple[str, str]], metadata: dict[str, str], claims: Claims | None) -> int:
    found = _read(keys)
    arrivals = _their_own(found) if found else found
    for listener in listeners if arrivals else ():
        listener(arrivals)
    waves = _waves(arrivals)
    if len(waves) > 1:
        routing.hold_listeners(arrivals)
    for wave in waves:
        routing.route_wave(wave, clock.now(), metadata, claims)
    _mark(arrivals)
    if claims:
        claims.close()
    return len(found)


# Under the lock of an id nobody can merge it meanwhile.
def _their_own(found: list[Arrival]) -> list[Arrival]:
    by_tenant: dict[str, set[str]] = {}
    for each in found:
        by_tenant.setdefault(each.tenant_id, set()).add(each.participant_id)
    merged = {
        (tenant_id, old): new
        for tenant_id, people in by_tenant.items()
        for old, new in ports.bound().profiles.merged_many(tenant_id, sorted(people)).items()
    }
    strays = [each for each in found if (each.tenant_id, each.participant_id) in merged]
    if not strays:
        return found
    whose = [merged[each.tenant_id, each.participant_id] for each in strays]
    execute(HAND_ON, {"ids": [each.id for each in strays], "participants": whose})
    bells.ring_on_commit(Bell.ROUTE)
    return [each for each in found if (each.tenant_id, each.participant_id) not in merged]


# A participant's second event must see what the first one did: each wave has one event of each participant.
def _waves(arrivals: Sequence[Arrival]) -> list[list[Arrival]]:
    waves: list[list[Arrival]] = []
    places: dict[tuple[str, str], int] = {}
    for arrival in arrivals:
        key = (arrival.tenant_id, arrival.participant_id)
        place = places[key] = places.get(key, -1) + 1
        if place == len(waves):
            waves.append([])
        waves[place].append(arrival)
    return waves


def _read(keys: list[tuple[str, str]]) -> list[Arrival]:
    if not keys:
        return []
    parameters = {"tenants": [key[0] for key in keys], "participants": [key[1] for key in keys]}
    found = execute(READ_UNROUTED, parameters).fetchall()
    return [_arrival(row) for row in found]


def _arrival(row: Sequence[Any]) -> Arrival:
    before, data, after = row[:5], orjson.loads(row[5]), row[6:]
    return Arrival(*before, data, *after)  # type: ignore[call-arg]  # the columns of READ_UNROUTED, in order


def _mark(arrivals: Sequence[Arrival]) -> None:
    document = orjson.dumps([{"id": each.id, "effects": each.effects} for each in arrivals]).decode()
    execute(MARK_ROUTED, [clock.now(), document])
