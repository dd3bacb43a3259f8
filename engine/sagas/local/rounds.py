"""One transaction of the journal: a turn of each saga that has news, all written together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction

from engine import clock, tenancy
from engine.conf import engine_settings
from engine.connections import execute
from engine.errors import EngineError, InvalidSaga, SagaTakenOver, UnknownSaga
from engine.models import SagaRun
from engine.moments import iso
from engine.sagas import rows, telling, write
from engine.sagas.local import takeover
from engine.sagas.local.leases import Leases
from engine.sagas.local.news import Order
from engine.sagas.local.pilot import Pilot
from engine.sagas.rows import Row
from engine.sagas.state import SagaState
from engine.sagas.write import Move, open_move
from engine.workflow_state import WorkflowState

JSON = dict[str, Any]
Orders = list[tuple[Pilot, list[Order]]]

METADATA: Final[JSON] = {"actor": "process"}
# A lease with less than this share of it left is renewed with what is written.
RENEW_BEFORE: Final = 0.4

# Locks this process's sagas, waiting for nobody; those that are missing are held by somebody, or gone.
HOLD: Final = """
    SELECT id, sequence, lease_holder FROM saga_runs WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
EXISTING: Final = "SELECT id FROM saga_runs WHERE id = ANY(%s)"
BE_QUICK: Final = "SET LOCAL lock_timeout = '300ms'"
RENEW: Final = """
    UPDATE saga_runs SET lease_until = clock_timestamp() + %s * interval '1 second' WHERE id = ANY(%s)
"""


@dataclass(slots=True)
class Round:
    """
    What became of the pilots.

    `later` ones could not be looked at, the names of `claimed` ones are taken, `broken` ones cannot go on here.
    """

    orders: Orders = field(default_factory=list)
    later: list[Pilot] = field(default_factory=list)
    claimed: list[Pilot] = field(default_factory=list)
    broken: list[tuple[Pilot, Exception]] = field(default_factory=list)


def play(pilots: Sequence[Pilot], leases: Leases) -> Round:
    """Make a turn of each and write them; nothing has happened if it raises."""
    asked, lease_s = time.monotonic(), engine_settings().lease_s
    done = Round()
    with transaction.atomic(durable=True):
        found = _hold([pilot for pilot in pilots if pilot.born], leases, done)
        moves = _turns(pilots, found, done)
        births = [(pilot, move) for pilot, move in moves if not pilot.born]
        created = _create([move for _, move in births]) if births else set()
        done.claimed = [pilot for pilot, move in births if move.state.id not in created]
        written = [(pilot, move) for pilot, move in moves if pilot.born or move.state.id in created]
        renewed = [
            pilot for pilot, _ in written if pilot.born and pilot.may_call_until - asked < lease_s * RENEW_BEFORE
        ]
        if renewed:
            execute(RENEW, [lease_s, [pilot.id for pilot in renewed]])
        write.batch([move for pilot, move in written if pilot.born and move.events], METADATA)
        _tell(written)
    for pilot in renewed:
        pilot.may_call_until = asked + lease_s
    _commit(written, done, leases, may_call_until=asked + lease_s)
    return done


def claim(pilot: Pilot, leases: Leases) -> Round:
    """Take a saga over that has a row already, or have its caller told why not."""
    asked, lease_s = time.monotonic(), engine_settings().lease_s
    done = Round()
    with transaction.atomic(durable=True):
        row = takeover.find(_tenant_of(pilot), pilot.declared.saga_id)
        if row is None:
            done.later.append(pilot)
            return done
        try:
            takeover.check_free(row, pilot, is_ours=row.lease_holder == pilot.holder and leases.has(row.id))
            move = takeover.take(row, pilot, clock.now(), lease_s)
        except EngineError as refusal:
            return Round(broken=[(pilot, refusal)])
        pilot.turn(move)
        write.batch([move] if move.events else [], METADATA)
        _tell([(pilot, move)])
    pilot.id = move.state.id
    _commit([(pilot, move)], done, leases, may_call_until=asked + lease_s)
    return done


def _commit(written: Sequence[tuple[Pilot, Move]], done: Round, leases: Leases, *, may_call_until: float) -> None:
    for pilot, move in written:
        if not pilot.born:
            pilot.born, pilot.may_call_until = True, may_call_until
        try:
            done.orders.append((pilot, pilot.committed(move)))
        except Exception as error:  # noqa: BLE001  # what is committed stays so, and the neighbours' orders go out
            done.broken.append((pilot, error))
    leases.add(pilot for pilot, _ in written if not pilot.ended)


# A name that another transaction has just taken is waited for, but not long: everybody's news wait meanwhile.
def _create(moves: Sequence[Move]) -> set[str]:
    execute(BE_QUICK)
    return write.create(moves, METADATA)


# Locks the rows of the sagas that have one, and reads those again that were moved by somebody else.
def _hold(pilots: Sequence[Pilot], leases: Leases, done: Round) -> dict[str, Row | None]:
    if not pilots:
        return {}
    by_id = {pilot.id: pilot for pilot in pilots}
    held = {row[0]: (row[1], row[2]) for row in execute(HOLD, [list(by_id)]).fetchall()}
    missing = [run_id for run_id in by_id if run_id not in held]
    existing = {row[0] for row in execute(EXISTING, [missing]).fetchall()} if missing else set()
    for run_id in missing:
        if run_id in existing:
            done.later.append(by_id[run_id])
        else:
            done.broken.append((by_id[run_id], UnknownSaga("The saga was deleted.")))
    found: dict[str, Row | None] = {}
    for run_id, (sequence, holder) in held.items():
        pilot = by_id[run_id]
        if holder != leases.holder:
            done.broken.append((pilot, SagaTakenOver()))
        else:
            pilot.stale = pilot.stale or pilot.state is None or pilot.state.sequence != sequence
            found[run_id] = None
    reread = [run_id for run_id in found if by_id[run_id].stale]
    return found | (rows.lock(reread) if reread else {})


def _turns(pilots: Sequence[Pilot], found: dict[str, Row | None], done: Round) -> list[tuple[Pilot, Move]]:
    moves, now = [], clock.now()
    for pilot in pilots:
        if pilot.born and pilot.id not in found:
            continue
        try:
            row = found.get(pilot.id)
            move = _birth(pilot, now) if not pilot.born else open_move(row, now) if row else _go_on(pilot, now)
            move.holder = pilot.holder
            pilot.turn(move)
        except Exception as error:  # noqa: BLE001  # one saga's trouble, which its caller is told of
            done.broken.append((pilot, error))
        else:
            moves.append((pilot, move))
    return moves


def _go_on(pilot: Pilot, now: Any) -> Move:
    state = pilot.state
    assert state is not None
    return Move(state, now, state.status, state.sequence, pilot.log_tx)


def _birth(pilot: Pilot, now: Any) -> Move:
    declared = pilot.declared
    state = SagaState(id=pilot.id)
    move = Move(state, now, WorkflowState.PENDING.value, 0, lease_s=engine_settings().lease_s)
    data: JSON = {
        "tenant_id": _tenant_of(pilot),
        "name": declared.saga_id,
        "definition": "",
        "runs_in": SagaRun.RunsIn.PROCESS.value,
        "input": {},
        "plan": declared.plan,
        "deadline_at": iso(pilot.deadline) if pilot.deadline else None,
    }
    move.record("saga_created", data)
    return move


def _tenant_of(pilot: Pilot) -> str:
    tenant_id, bus = tenancy.id_of(pilot.declared.tenant), pilot.declared.bus
    if bus is not None and bus.tenant_id != tenant_id:
        raise InvalidSaga("The saga's bus is of another tenant than the engine.", attr="event_bus")
    return tenant_id


# Its own bus hears of a saga, with the closures that are subscribed there; without one, the durable handlers do.
def _tell(written: Sequence[tuple[Pilot, Move]]) -> None:
    for pilot, move in written:
        if (bus := pilot.declared.bus) is None:
            telling.tell([move])
        elif events := list(telling.messages(move.state, (event for event, _ in move.events))):
            bus.publish_many_sync(events, loop=pilot.runner.loop)
