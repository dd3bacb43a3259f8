"""Sagas that workers carry on begin here: their rows, events and first activities, in the caller's transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from engine import bells, bridge, callables, clock, tenancy, values
from engine.bells import Bell
from engine.conf import engine_settings
from engine.connections import one
from engine.errors import EngineError, InvalidSaga, InvalidSagaInput, SagaExists
from engine.execution.write import new_id
from engine.moments import iso
from engine.sagas import progress, registry, status, write
from engine.sagas.builder import Saga
from engine.sagas.state import SagaState
from engine.sagas.write import Move
from engine.workflow_state import WorkflowState
from tenants.models import Tenant

JSON = dict[str, Any]

# The bell for a deadline comes a little late rather than early.
AFTER_DEADLINE_S = 0.05


@dataclass(frozen=True, slots=True)
class Wish:
    """A saga that somebody wants to start."""

    saga_id: str
    input: Any = None


@dataclass(slots=True)
class Verdict:
    """What became of a wish: the saga as it stands now, or why there is none."""

    wish: Wish
    status: JSON | None = None
    refusal: EngineError | None = None


def start_saga_sync(  # noqa: PLR0913  # one keyword for each thing that can be said of a start
    definition: str | Saga,
    saga_id: str,
    input: Any = None,  # noqa: A002 - as its users say it
    *,
    tenant: Tenant | UUID | str | None = None,
    timeout: float | None = None,
    actor: str = "",
    correlation_id: str = "",
) -> JSON:
    """
    Start a saga on the workers, in the caller's transaction where there is one; give its status.

    `definition` is a registered name, or a Saga whose callables can be imported and whose arguments are JSON. `timeout`
    is in seconds, for the whole of it. Raises SagaExists for an id that is taken, InvalidSaga, InvalidSagaInput.
    """
    (verdict,) = start_sagas_sync(
        definition,
        [Wish(saga_id, input)],
        tenant=tenant,
        timeout=timeout,
        actor=actor,
        correlation_id=correlation_id,
    )
    if verdict.refusal is not None:
        raise verdict.refusal
    assert verdict.status is not None
    return verdict.status


def start_sagas_sync(
    definition: str | Saga,
    wishes: Iterable[Wish],
    *,
    tenant: Tenant | UUID | str | None = None,
    timeout: float | None = None,
    actor: str = "",
    correlation_id: str = "",
) -> list[Verdict]:
    """Start many sagas of one definition with a few statements; one verdict each, in their order."""
    verdicts = [Verdict(wish) for wish in wishes]
    if timeout is not None and not (isinstance(timeout, int | float) and 0 < timeout < float("inf")):
        raise InvalidSaga("timeout is a number of seconds above 0.", attr="timeout")
    seconds = None if timeout is None else float(timeout)
    tenant_id = tenancy.id_of(tenancy.key_of(tenant))
    born: dict[str, tuple[Verdict, Move]] = {}
    with transaction.atomic():
        birth = _Birth(tenant_id, clock.now(), one("SELECT clock_timestamp()"), seconds)
        for verdict in verdicts:
            try:
                move = birth.of(definition, verdict.wish)
            except EngineError as refusal:
                verdict.refusal = refusal
            else:
                born[move.state.id] = (verdict, move)
        _write(born, write.cause(actor or "api", correlation_id))
        if seconds is not None and born:
            _ring_at_the_deadline(seconds)
    return verdicts


start_saga = bridge.twin(start_saga_sync)


def check_for_workers(plan: Sequence[JSON]) -> None:
    """Raise an InvalidSaga that names the step unless any process can call all of it."""
    for number, planned in enumerate(plan):
        for name in ("action", "compensation"):
            if planned[name] is None:
                continue
            try:
                callables.find(planned[name])
            except callables.NotFound as problem:
                detail = f"The {name} of {planned['name']!r} cannot be called by a worker: {problem}"
                raise InvalidSaga(detail, attr=f"steps.{number}.{name}") from None
            if len(planned[name]) > 255:  # noqa: PLR2004 - the column's length
                raise InvalidSaga(f"The address of {name} is too long.", attr=f"steps.{number}.{name}")
        for name in ("args", "kwargs"):
            if planned[name] is None:
                detail = f"The {name} of {planned['name']!r} are not JSON, and a worker is to be given them."
                raise InvalidSaga(detail, attr=f"steps.{number}.{name}")


@dataclass(frozen=True, slots=True)
class _Birth:
    """The moment at which sagas begin, and their limit."""

    tenant_id: str
    now: datetime
    wall: datetime
    timeout: float | None

    def of(self, definition: str | Saga, wish: Wish) -> Move:
        name, kept, plan = _planned(definition, wish)
        check_for_workers(plan)
        deadline = None if self.timeout is None else self.wall + timedelta(seconds=self.timeout)
        state = SagaState(id=new_id())
        move = Move(state, self.now, WorkflowState.PENDING.value, 0)
        data = {
            "tenant_id": self.tenant_id,
            "name": wish.saga_id,
            "definition": name,
            "runs_in": "workers",
            "input": kept,
            "plan": plan,
            "deadline_at": iso(deadline) if deadline else None,
        }
        move.record("saga_created", data)
        progress.settle(move, self.wall)
        return move


def _planned(definition: str | Saga, wish: Wish) -> tuple[str, Any, list[JSON]]:
    if isinstance(definition, Saga):
        saga, name, kept = Saga(wish.saga_id, steps=definition.steps), "", _kept(wish.input)
    else:
        found = registry.get(definition)
        kept, steps = found.steps({} if wish.input is None else wish.input)
        saga, name = Saga(wish.saga_id, steps=steps), found.name
    saga.check()
    return name, kept, saga.as_plan()


def _kept(value: Any) -> Any:
    try:
        return values.kept({} if value is None else value)
    except values.NotJson as problem:
        raise InvalidSagaInput(str(problem), attr="input") from None


# Of two wishes with one id the first is granted.
def _write(born: dict[str, tuple[Verdict, Move]], metadata: JSON) -> None:
    first: dict[str, str] = {}
    for saga_id, (verdict, _) in born.items():
        first.setdefault(verdict.wish.saga_id, saga_id)
    wanted = [move for saga_id, (verdict, move) in born.items() if first[verdict.wish.saga_id] == saga_id]
    entered = write.create(wanted, metadata) if wanted else set()
    for saga_id, (verdict, move) in born.items():
        if saga_id in entered:
            verdict.status = status.of(move.state)
        else:
            verdict.refusal = SagaExists(f"There is a saga {verdict.wish.saga_id!r} already.", attr="saga_id")
    progress.ring_for(move for move in wanted if move.state.id in entered)


def _ring_at_the_deadline(seconds: float) -> None:
    if seconds > engine_settings().countdown_horizon_s:
        return
    ahead = seconds + AFTER_DEADLINE_S

    def rings() -> None:
        mark = f"{Bell.SAGAS.task}:{round((time.time() + ahead) / bells.MOMENT_S)}"
        bells.ringer.ring(Bell.SAGAS, countdown=ahead, mark=mark, mark_ms=int(ahead * 1000) + 1000)

    transaction.on_commit(rings, robust=True)
