"""One batch in memory: rows become bursts that are driven until each token waits or ends; waits look back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import DataError, IntegrityError, InternalError, ProgrammingError

from engine import ports
from engine.event_store.events import Event
from engine.execution import caps, claim, holdout, lookback, program, uptake, write
from engine.execution.burst import Burst, Known
from engine.execution.executor import Executor
from engine.execution.rows import Row
from engine.nodes.base import Need

JSON = dict[str, Any]
logger = logging.getLogger(__name__)

# Errors that a row's content can cause; the others are the connection's or a lock's, and the batch just runs again.
CULPABLE = (
    DataError,
    IntegrityError,
    InternalError,
    ProgrammingError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    write.MovedElsewhere,
)


def open_burst(row: Row, now: datetime) -> Burst:
    """Begin to gather what an instance does."""
    compiled = program.of_version(row.version_id)
    state = row.state(compiled.version)
    listens = bool(compiled.settings.exit_criteria.events) or compiled.settings.goal is not None
    return Burst(
        state=state,
        program=compiled,
        now=now,
        was=row.status,
        previous=row.sequence,
        log_tx=row.log_tx,
        deaths=row.deaths,
        had_waits=listens or len(state.tokens) > 1 or any(each["step"] is not None for each in state.tokens.values()),
    )


@dataclass(slots=True, eq=False)
class Visit:
    """One instance in the hands of a batch: how its row was read, and what it has heard before it is run."""

    row: Row
    executor: Executor
    heard: Sequence[tuple[Event, bytes]] = ()

    @property
    def burst(self) -> Burst:
        """What it does."""
        return self.executor.burst

    def anew(self) -> Burst:
        """Open it once more, with what it has heard and nothing of what it has done."""
        fresh = open_burst(self.row, self.burst.now)
        fresh.cause = self.burst.cause
        for event, data in self.heard:
            fresh.record(event.type, orjson.loads(data))
            if event.type == "wait_resolved":
                fresh.disarm(event.data["node"])
        return fresh


def drive(rows: Sequence[Row], now: datetime) -> list[Burst]:
    """
    Run every row as far as it goes.

    An instance that raises is thrown away in memory and comes back as a failed one; one whose participant's lock is
    with a router is left
    out, and stays runnable.
    """
    quarantined = [_quarantined(row, now) for row in rows if claim.is_quarantined(row)]
    fit = [row for row in rows if not claim.is_quarantined(row)]
    return quarantined + _run(fit, [open_burst(row, now) for row in fit])


def go_on(rows: Sequence[Row], bursts: Sequence[Burst]) -> list[Burst]:
    """
    Run bursts that have just heard of something, in their rows' order; what they have heard stands, whatever comes.

    One whose participant's lock is with somebody else has only heard, and is runnable.
    """
    return _run(rows, bursts)


def failed(row: Row, now: datetime, code: str, detail: str) -> Burst:
    """Throw away what an instance did in this batch and fail it instead."""
    return _fail(open_burst(row, now), code, detail)


def _fail(burst: Burst, code: str, detail: str) -> Burst:
    burst.looked, burst.deaths = True, 0
    burst.fail(
        code, detail, next((key for key, each in burst.state.tokens.items() if each["status"] == "running"), None)
    )
    return burst


def _run(rows: Sequence[Row], bursts: Sequence[Burst]) -> list[Burst]:
    visits, held_up = _visits(rows, bursts)
    done = {each.row.id: _guarded(each) for each in visits}
    done |= {each.row.id: each.anew() for each in held_up if each.heard}
    pending = _about_to_wait(visits, done)
    while pending:
        contended = _look_back(pending)
        for each in contended:
            if each.heard:
                done[each.row.id] = each.anew()
            else:
                del done[each.row.id]
        again = [each for each in pending if each not in contended and each.burst.is_runnable]
        for each in again:
            done[each.row.id] = _guarded(each)
        pending = _about_to_wait(again, done)
    return list(done.values())


# Those who can be run, and those who have to come again because a cap of theirs is being decided on elsewhere.
def _visits(rows: Sequence[Row], bursts: Sequence[Burst]) -> tuple[list[Visit], list[Visit]]:
    heard = [tuple(burst.events) for burst in bursts]
    for burst in bursts:
        # Only whoever ran and lived is beyond suspicion; an event that reaches a suspect proves nothing.
        burst.looked, burst.deaths = True, 0
    uptake.take_up(bursts)
    profiles = _fetched(Need.PROFILE, bursts, ports.bound().profiles.fetch_many)
    preferences = _fetched(Need.PREFERENCES, bursts, ports.bound().preferences.fetch_many)
    names = sorted(frozenset[str]().union(*(burst.program.segments for burst in bursts)))
    segments = _fetched(
        Need.SEGMENTS, bursts, lambda tenant, ids: ports.bound().segments.memberships_many(tenant, ids, names)
    )
    deliveries = _deliveries(bursts)
    held = caps.hold(bursts)
    visits = [
        Visit(
            row,
            Executor(
                burst,
                deliveries=deliveries.get(row.id),
                participant=profiles.get((burst.state.tenant_id, burst.state.participant_id)),
                preferences=preferences.get((burst.state.tenant_id, burst.state.participant_id)),
                segments=segments.get((burst.state.tenant_id, burst.state.participant_id), frozenset()),
                caps=held.caps.get(row.id),
            ),
            events,
        )
        for row, burst, events in zip(rows, bursts, heard, strict=True)
    ]
    held_up = [each for each in visits if each.row.id in held.contended]
    return [each for each in visits if each.row.id not in held.contended], held_up


# What a port knows of the participants of those whose programs want to know it: one call per tenant, none for nobody.
def _fetched(
    need: Need, bursts: Sequence[Burst], fetch_many: Callable[[str, Sequence[str]], Mapping[str, Any]]
) -> dict[tuple[str, str], Any]:
    wanted: dict[str, set[str]] = {}
    for burst in bursts:
        if need in burst.program.needs:
            wanted.setdefault(burst.state.tenant_id, set()).add(burst.state.participant_id)
    return {
        (tenant, participant): known
        for tenant, ids in wanted.items()
        for participant, known in fetch_many(tenant, sorted(ids)).items()
    }


# What became of the messages of those whose programs want to know it, by instance and node.
def _deliveries(bursts: Sequence[Burst]) -> dict[str, Mapping[str, JSON]]:
    wanted: dict[str, list[str]] = {}
    for burst in bursts:
        if Need.DELIVERIES in burst.program.needs:
            wanted.setdefault(burst.state.tenant_id, []).append(burst.state.id)
    lookup = ports.bound().deliveries
    return {key: states for tenant, ids in wanted.items() for key, states in lookup.states_many(tenant, ids).items()}


# A run that ended or failed meanwhile waits for nothing.
def _about_to_wait(visits: Sequence[Visit], done: dict[str, Burst]) -> list[Visit]:
    return [
        each
        for each in visits
        if each.executor.waits and done[each.row.id] is each.burst and each.burst.state.status in ("running", "waiting")
    ]


def _guarded(visit: Visit) -> Burst:
    try:
        if holdout.keeps_out(visit.burst):
            holdout.end(visit.burst)
        visit.executor.drive()
    except Exception as error:
        logger.exception("instance.raised", extra={"instance": visit.row.id})
        return _fail(visit.anew(), "error", f"{type(error).__name__}: {error}")
    return visit.burst


def _quarantined(row: Row, now: datetime) -> Burst:
    return failed(row, now, "quarantined", f"Worker processes died {row.deaths} times while this instance was claimed.")


# Takes the locks of the participants about to wait for an event, then resolves the waits whose event is already there,
# or whose time is up.
def _look_back(visits: Sequence[Visit]) -> list[Visit]:
    keys = {each: lookback.participant_key(each.row.tenant_id, each.row.participant_id) for each in visits}
    got = lookback.try_participants(keys.values())
    winners = [each.executor for each in visits if keys[each] in got]
    found = lookback.earlier_events([glance for each in winners for glance in _glances(each)])
    for each in winners:
        each.burst.known = Known(each.step.participant, each.step.deliveries)
        for node_id, wait in list(each.waits.items()):
            events = found.get((each.burst.state.id, node_id), [])
            event = lookback.first_match(each.burst, wait.filter, events)
            each.waits.pop(node_id)
            if event is not None:
                each.resolve(node_id, {"by": "event", "event": event, "matched_from": "lookback"})
            elif wait.until is not None and wait.until <= each.burst.now:
                each.resolve(node_id, {"by": "timer"})
    return [each for each in visits if keys[each] not in got]


def _glances(executor: Executor) -> list[lookback.Glance]:
    state = executor.burst.state
    return [
        lookback.Glance(
            state.id, node_id, state.tenant_id, state.participant_id, wait.event_types, wait.lookback, wait.until
        )
        for node_id, wait in executor.waits.items()
        if wait.lookback is not None
    ]
