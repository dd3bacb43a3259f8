"""One batch in memory: rows become bursts that are driven until each token waits or ends; waits look back."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import DataError, IntegrityError, InternalError, ProgrammingError

from engine import ports
from engine.execution import claim, lookback, program, uptake, write
from engine.execution.burst import Burst
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


def drive(rows: Sequence[Row], now: datetime) -> list[Burst]:
    """
    Run every row as far as it goes.

    An instance that raises is thrown away in memory and comes back as a failed one; one whose participant's lock is
    with a router is left
    out, and stays runnable.
    """
    executors = _executors([row for row in rows if not claim.is_quarantined(row)], now)
    rows_by_id = {row.id: row for row in rows}
    done = {row.id: _quarantined(row, now) for row in rows if claim.is_quarantined(row)}
    for each in executors:
        done[each.burst.state.id] = _guarded(each, rows_by_id[each.burst.state.id], now)
    pending = _about_to_wait(executors, done)
    while pending:
        contended = _look_back(pending)
        for each in contended:
            done.pop(each.burst.state.id)
        again = [each for each in pending if each not in contended and each.burst.is_runnable]
        for each in again:
            done[each.burst.state.id] = _guarded(each, rows_by_id[each.burst.state.id], now)
        pending = _about_to_wait(again, done)
    return list(done.values())


def failed(row: Row, now: datetime, code: str, detail: str) -> Burst:
    """Throw away what an instance did in this batch and fail it instead."""
    burst = open_burst(row, now)
    burst.looked, burst.deaths = True, 0
    burst.fail(
        code, detail, next((key for key, each in burst.state.tokens.items() if each["status"] == "running"), None)
    )
    return burst


def _executors(rows: Iterable[Row], now: datetime) -> list[Executor]:
    bursts = [open_burst(row, now) for row in rows]
    for burst in bursts:
        # Only whoever ran and lived is beyond suspicion; an event that reaches a suspect proves nothing.
        burst.looked, burst.deaths = True, 0
    uptake.take_up(bursts)
    wanted: dict[str, set[str]] = {}
    for burst in bursts:
        if Need.PROFILE in burst.program.needs:
            wanted.setdefault(burst.state.tenant_id, set()).add(burst.state.participant_id)
    profiles = {tenant: ports.bound().profiles.fetch_many(tenant, sorted(ids)) for tenant, ids in wanted.items()}
    return [
        Executor(burst, participant=profiles.get(burst.state.tenant_id, {}).get(burst.state.participant_id))
        for burst in bursts
    ]


# A run that ended or failed meanwhile waits for nothing.
def _about_to_wait(executors: Sequence[Executor], done: dict[str, Burst]) -> list[Executor]:
    return [
        each
        for each in executors
        if each.waits and done[each.burst.state.id] is each.burst and each.burst.state.status in ("running", "waiting")
    ]


def _guarded(executor: Executor, row: Row, now: datetime) -> Burst:
    try:
        executor.drive()
    except Exception as error:
        logger.exception("instance.raised", extra={"instance": row.id})
        return failed(row, now, "error", f"{type(error).__name__}: {error}")
    return executor.burst


def _quarantined(row: Row, now: datetime) -> Burst:
    return failed(row, now, "quarantined", f"Worker processes died {row.deaths} times while this instance was claimed.")


# Takes the locks of the participants about to wait for an event, then resolves the waits whose event is already there,
# or whose time is up.
def _look_back(executors: Sequence[Executor]) -> list[Executor]:
    keys = {
        each: lookback.participant_key(each.burst.state.tenant_id, each.burst.state.participant_id)
        for each in executors
    }
    got = lookback.try_participants(keys.values())
    winners = [each for each in executors if keys[each] in got]
    found = lookback.earlier_events([glance for each in winners for glance in _glances(each)])
    for each in winners:
        for node_id, wait in list(each.waits.items()):
            events = found.get((each.burst.state.id, node_id), [])
            event = lookback.first_match(each.burst, wait.filter, events)
            each.waits.pop(node_id)
            if event is not None:
                each.resolve(node_id, {"by": "event", "event": event, "matched_from": "lookback"})
            elif wait.until is not None and wait.until <= each.burst.now:
                each.resolve(node_id, {"by": "timer"})
    return [each for each in executors if keys[each] not in got]


def _glances(executor: Executor) -> list[lookback.Glance]:
    state = executor.burst.state
    return [
        lookback.Glance(
            state.id, node_id, state.tenant_id, state.participant_id, wait.event_types, wait.lookback, wait.until
        )
        for node_id, wait in executor.waits.items()
        if wait.lookback is not None
    ]
