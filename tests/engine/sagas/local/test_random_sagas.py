"""Any saga: random graphs of steps with random outcomes, against what must hold for all of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Event, Retry, Saga, SagaStep, WorkflowEngine
from engine.errors import SagaCancelled, SagaFailed, SagaStopped, SagaTimedOut
from engine.models import StoredEvent
from engine.sagas.state import SagaState, apply
from tests.engine.sagas.local.conftest import row

OUTCOMES = ("well", "fails", "fails once", "hangs", "breaks off", "thread", "thread fails")
UNDOABLE = frozenset({"completed", "unknown"})
NUMBERS = count()


@dataclass(frozen=True)
class Plan:
    """One step of a random saga."""

    outcome: str
    after: tuple[int, ...]
    ticks: int
    has_compensation: bool
    pivot: bool


@dataclass
class World:
    """What the steps did, and what must never be."""

    running: set[str] = field(default_factory=set)
    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)

    def step(self, name: str, plan: Plan) -> SagaStep:
        async def act() -> str:
            self.enter(name)
            try:
                for _ in range(plan.ticks):
                    await asyncio.sleep(0)
                return await self.end(name, plan)
            finally:
                self.running.discard(name)

        def act_in_thread() -> str:
            self.enter(name)
            self.running.discard(name)
            if plan.outcome == "thread fails":
                raise ValueError(name)
            self.ended.append(name)
            return name

        def undo() -> None:
            if self.running:
                self.wrongs.append(f"{name} is undone while {self.running} run")
            self.undone.append(name)

        return SagaStep(
            name,
            act_in_thread if plan.outcome.startswith("thread") else act,
            undo if plan.has_compensation else None,
            after=[f"s{other}" for other in plan.after],
            retry=Retry(attempts=2, backoff_s=0),
            timeout=0.05 if plan.outcome == "hangs" else None,
            pivot=plan.pivot,
        )

    def enter(self, name: str) -> None:
        self.begun.append(name)
        self.running.add(name)
        if self.undone:
            self.wrongs.append(f"{name} began after {self.undone}")

    async def end(self, name: str, plan: Plan) -> str:
        match plan.outcome:
            case "fails":
                raise ValueError(name)
            case "fails once" if self.begun.count(name) == 1:
                raise OSError(name)
            case "hangs":
                await asyncio.Event().wait()
            case "breaks off":
                raise asyncio.CancelledError(name)
        self.ended.append(name)
        return name


@st.composite
def plans(draw: st.DrawFn) -> list[Plan]:
    many = draw(st.integers(0, 6))
    pivot = draw(st.one_of(st.none(), st.integers(0, 5)))
    return [
        Plan(
            outcome=draw(st.sampled_from(OUTCOMES) if draw(st.integers(0, 2)) == 0 else st.just("well")),
            after=tuple(draw(st.sets(st.integers(0, number - 1), max_size=2))) if number else (),
            ticks=draw(st.integers(0, 5)),
            has_compensation=draw(st.booleans()),
            pivot=number == pivot,
        )
        for number in range(many)
    ]


async def execute(engine: WorkflowEngine, saga_id: str, cancel_after: int | None) -> Any:
    executing = asyncio.create_task(engine.execute_saga(saga_id, timeout=30))
    if cancel_after is not None:
        for _ in range(cancel_after):
            await asyncio.sleep(0)
        executing.cancel()
    try:
        return await executing
    except (SagaStopped, asyncio.CancelledError) as error:
        return error


@pytest.mark.usefixtures("transactional_db")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=plans(), cancel_after=st.one_of(st.none(), st.integers(1, 60)))
def test_whatever_happens_a_saga_is_done_or_undone(steps: list[Plan], cancel_after: int | None) -> None:
    engine, world = WorkflowEngine(), World()
    saga = Saga(f"random-{next(NUMBERS)}")
    for number, plan in enumerate(steps):
        saga.add_step(world.step(f"s{number}", plan))
    engine.register_saga(saga)

    result = asyncio.run(execute(engine, saga.saga_id, cancel_after))

    found = row(saga.saga_id)
    assert world.wrongs == []
    assert world.running == set()
    states = {step["name"]: step["state"] for step in found.steps}
    to_undo = {f"s{n}" for n, plan in enumerate(steps) if plan.has_compensation and states[f"s{n}"] in UNDOABLE}
    places = {step["name"]: step["place"] or 1_000 for step in found.steps}
    assert {name for name, state in states.items() if state == "completed"} == set(world.ended)
    match found.status:
        case "COMPLETED":
            assert world.undone == []
            assert result == [f"s{number}" for number in range(len(steps))] or isinstance(
                result, asyncio.CancelledError
            )
        case "COMPENSATED":
            assert isinstance(result, SagaFailed | SagaTimedOut | SagaCancelled | asyncio.CancelledError)
            assert set(world.undone) == to_undo
            assert len(world.undone) == len(to_undo)
            assert [places[name] for name in world.undone] == sorted((places[name] for name in to_undo), reverse=True)
        case "FAILED":
            assert found.error["code"] == "failed_after_pivot"
            assert world.undone == []
        case other:
            pytest.fail(f"The saga is {other}.")
    _assert_replay(found)


def _assert_replay(found: Any) -> None:
    state = SagaState(str(found.id))
    for event in StoredEvent.objects.filter(aggregate_id=found.id).order_by("sequence"):
        apply(state, Event(event.type, event.data, event.sequence, event.recorded_at))
    assert (state.status, state.steps, state.ending, state.error) == (
        found.status,
        found.steps,
        found.ending,
        found.error,
    )
