"""What one wave of events does to the instances that listen, and to the flows that it starts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from engine import bells, entries, values
from engine.bells import Bell
from engine.connections import execute
from engine.execution import batch, hearing, rows, woken, write
from engine.execution.burst import Burst
from engine.expressions import parse
from engine.moments import iso

if TYPE_CHECKING:
    from engine.event_router import Arrival
    from engine.execution.claim import Claims

JSON = dict[str, Any]
logger = logging.getLogger(__name__)

LIVE = ("running", "waiting", "paused")
# Of the listeners of one event, whoever waits for it hears it first.
ORDER = {"wait": 0, "goal": 1, "exit": 2}

# Who listens for the events of a wave. One row per subscription and event.
LISTENERS = """
    SELECT n.place, s.id, s.kind, s.instance_id, s.node_id, s.filter, s.since, s.until
      FROM unnest(%(tenants)s::uuid[], %(participants)s::text[], %(types)s::text[]) WITH ORDINALITY
           AS n(tenant_id, participant_id, event_type, place)
      JOIN event_subscriptions s
        ON s.tenant_id = n.tenant_id AND s.participant_id = n.participant_id AND s.event_type = n.event_type
"""
FORGET = "DELETE FROM event_subscriptions WHERE id = ANY(%s)"


def route_wave(wave: Sequence[Arrival], now: datetime, metadata: dict[str, str], claims: Claims | None) -> None:
    """
    Resolve waits, then goals and exits, then start flows: one event of each participant, locks held.

    With `claims` given, whoever wakes is run at once, unless an event of the participant also starts a flow: whether it
    may is decided by how the runs stood when it came.
    """
    listeners = _listeners(wave)
    found = rows.lock({each[3] for each in listeners})
    bursts: dict[str, Burst] = {}
    for row in found.values():
        bursts[row.id] = batch.open_burst(row, now)
    hearing.look_up((bursts[each[3]], each[5]) for each in listeners if each[3] in bursts)
    paused = {row.id for row in found.values() if row.paused}
    spent: list[str] = []
    for place, sub_id, kind, instance_id, node_id, raw_filter, since, until in sorted(
        listeners, key=lambda each: (each[0], ORDER[each[2]], each[1])
    ):
        if instance_id not in bursts:
            continue
        arrival, burst = wave[place - 1], bursts[instance_id]
        burst.cause = arrival.as_cause()
        listener = Listener(kind, node_id, raw_filter, since, until, instance_id in paused)
        if hear(listener, arrival, burst):
            spent.append(sub_id)
    wanted = entries.find(wave, now)
    heard = [burst for burst in bursts.values() if burst.events]
    if claims is not None:
        entering = {(each.arrival.tenant_id, each.arrival.participant_id) for each in wanted}
        stays = [each for each in heard if (each.state.tenant_id, each.state.participant_id) in entering]
        goes = [each for each in heard if (each.state.tenant_id, each.state.participant_id) not in entering]
        heard = stays + woken.run(goes, found, claims)
    write.batch(heard, metadata=metadata)
    woken.ring_for(heard)
    if any(each.is_runnable for each in heard):
        bells.ring_on_commit(Bell.ADVANCE)
    if spent:
        execute(FORGET, [spent])
    entries.enter(wanted, now, metadata)


def hold_listeners(arrivals: Sequence[Arrival]) -> None:
    """Lock whoever listens for any of these, in the one order: wave after wave would be an order of its own."""
    rows.lock({each[3] for each in _listeners(arrivals)})


@dataclass(frozen=True, slots=True)
class Listener:
    """A subscription that an event has reached."""

    kind: str
    node_id: str
    raw_filter: str | None
    since: datetime
    until: datetime | None
    is_paused: bool

    def matches(self, arrival: Arrival, burst: Burst) -> bool:
        """Whether the event's data pass the filter."""
        if self.raw_filter is None:
            return True
        return parse(orjson.loads(self.raw_filter)).matches(hearing.scope_of(burst, arrival.data))


def hear(listener: Listener, arrival: Arrival, burst: Burst) -> bool:
    """
    Have a listener's run hear of an event, and note on the event what it did; tell whether the subscription is used up.

    A listener that raises is its own trouble: the event goes on to the others.
    """
    try:
        return _HEAR[listener.kind](listener, arrival, burst)
    except Exception as error:
        logger.exception("listener.raised", extra={"instance": burst.state.id, "node": listener.node_id})
        effect = {"kind": "refused", "code": "error", "detail": values.storable(str(error), 500)}
        arrival.effects.append({**effect, "instance_id": burst.state.id, "node_id": listener.node_id})
        return False


def _hear_wait(listener: Listener, arrival: Arrival, burst: Burst) -> bool:
    token = burst.state.tokens.get(listener.node_id)
    if token is None or token["status"] != "waiting" or burst.state.status not in LIVE:
        return False
    if not _counts(listener, arrival, burst, iso_since=token["since"]) or not listener.matches(arrival, burst):
        return False
    effect = {"instance_id": burst.state.id, "flow_id": burst.state.flow_id, "node_id": listener.node_id}
    if listener.until is not None and arrival.occurred_at > listener.until and not listener.is_paused:
        arrival.effects.append({"kind": "refused", "code": "late_event", **effect})
        return False
    burst.disarm(listener.node_id)
    burst.record("wait_resolved", {"node": listener.node_id, "by": "event", "event": as_json(arrival)})
    arrival.effects.append({"kind": "wait_resolved", **effect})
    return False


# What arrived before the wait began counts only where it looks back, and once. The look-back has judged what it could
# see; an event whose transaction committed after it comes to be judged here.
def _counts(listener: Listener, arrival: Arrival, burst: Burst, *, iso_since: str) -> bool:
    if arrival.received_at < listener.since:
        return False
    if arrival.received_at >= datetime.fromisoformat(iso_since):
        return not burst.has_used(arrival.event_id)
    return arrival.occurred_at >= listener.since and not burst.has_used(arrival.event_id)


def _hear_goal(listener: Listener, arrival: Arrival, burst: Burst) -> bool:
    goal = burst.program.settings.goal
    if goal is None or (listener.until is not None and arrival.occurred_at > listener.until):
        return goal is None
    if not listener.matches(arrival, burst):
        return False
    burst.record("goal_reached", {"name": goal.name, "node": None, "event": as_json(arrival)})
    arrival.effects.append(
        {"kind": "goal", "instance_id": burst.state.id, "flow_id": burst.state.flow_id, "name": goal.name}
    )
    if goal.exit_on_goal and burst.state.status in LIVE and not _resolved(arrival, burst):
        _exit(arrival, burst, "goal")
    return True


def _hear_exit(listener: Listener, arrival: Arrival, burst: Burst) -> bool:
    if burst.state.status in LIVE and listener.matches(arrival, burst) and not _resolved(arrival, burst):
        _exit(arrival, burst, "exit_criteria")
    return False


_HEAR = {"wait": _hear_wait, "goal": _hear_goal, "exit": _hear_exit}


# An event that resolves a wait of the run takes that branch and does not end the run.
def _resolved(arrival: Arrival, burst: Burst) -> bool:
    return any(each["kind"] == "wait_resolved" and each["instance_id"] == burst.state.id for each in arrival.effects)


def _exit(arrival: Arrival, burst: Burst, reason: str) -> None:
    burst.end("exited", {"reason": reason, "detail": f"{arrival.event_type} ({arrival.event_id})", "node": None})
    arrival.effects.append(
        {"kind": "exited", "code": reason, "instance_id": burst.state.id, "flow_id": burst.state.flow_id}
    )


def as_json(arrival: Arrival) -> JSON:
    """Give an event as stored events carry it."""
    return {
        "event_id": arrival.event_id,
        "event_type": arrival.event_type,
        "data": arrival.data,
        "occurred_at": iso(arrival.occurred_at),
    }


def _listeners(wave: Iterable[Arrival]) -> list[tuple[Any, ...]]:
    parameters = {
        "tenants": [each.tenant_id for each in wave],
        "participants": [each.participant_id for each in wave],
        "types": [each.event_type for each in wave],
    }
    return execute(LISTENERS, parameters).fetchall()
