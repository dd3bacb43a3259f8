"""The language of these tests: an order saga whose steps write down what was called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine import Saga, SagaStep, WorkflowEngine
from engine.event_store.events import SAGA
from engine.models import SagaRun, StoredEvent
from engine.sagas.local.journal import journal


@pytest.fixture(autouse=True)
def quiet_journal(transactional_db: None) -> Iterator[None]:
    """No thread of a test's sagas outlives it."""
    yield
    journal.close()


class Diary:
    """Actions and compensations that write down that they were called, and do what they were told to do."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def action(self, name: str, *, fails: BaseException | None = None, gives: Any = None) -> Callable[..., Any]:
        async def act(*args: Any, **kwargs: Any) -> Any:
            self.entries.append(name)
            await asyncio.sleep(0)
            if fails is not None:
                raise fails
            return gives if gives is not None else f"{name} done"

        return act

    def undo(self, name: str, *, fails: BaseException | None = None) -> Callable[..., Any]:
        return self.action(f"undo {name}", fails=fails)

    def step(self, name: str, *, fails: BaseException | None = None, gives: Any = None, **more: Any) -> SagaStep:
        return SagaStep(name, self.action(name, fails=fails, gives=gives), self.undo(name), **more)

    def undone(self) -> list[str]:
        return [entry.removeprefix("undo ") for entry in self.entries if entry.startswith("undo ")]

    def done(self) -> list[str]:
        return [entry for entry in self.entries if not entry.startswith("undo ")]


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def engine() -> WorkflowEngine:
    return WorkflowEngine()


@pytest.fixture
def register(engine: WorkflowEngine) -> Callable[..., Saga]:
    def make(*steps: SagaStep, saga_id: str = "order-1", bus: Any = None) -> Saga:
        saga = Saga(saga_id, bus)
        for step in steps:
            saga.add_step(step)
        engine.register_saga(saga)
        return saga

    return make


def row(saga_id: str = "order-1") -> SagaRun:
    return SagaRun.objects.get(name=saga_id)


def log_of(saga_id: str = "order-1") -> list[str]:
    """The types of a saga's events, with the step they are about."""
    events = StoredEvent.objects.filter(aggregate_type=SAGA, aggregate_id=row(saga_id).id).order_by("sequence")
    return [" ".join(filter(None, (event.type, event.data.get("step")))) for event in events]


async def reaches(engine: WorkflowEngine, fact: Callable[[dict[str, Any]], Any], saga_id: str = "order-1") -> None:
    """Look at the status until it is so."""
    async with asyncio.timeout(20):
        while not fact(await engine.get_saga_status(saga_id)):
            continue
