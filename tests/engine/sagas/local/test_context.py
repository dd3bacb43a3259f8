"""Whoever runs for a saga knows which, whatever runs beside it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from structlog.stdlib import ProcessorFormatter

from engine import Event, EventBus, Retry, Saga, SagaStep, WorkflowEngine, current_saga_id, current_step
from engine.errors import SagaFailed
from engine.models import StoredEvent
from tests.engine.sagas.local.conftest import Diary, row

MANY = 200


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What is logged, as the product writes it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(
        next(each.formatter for each in logging.getLogger().handlers if isinstance(each.formatter, ProcessorFormatter))
    )
    logger = logging.getLogger("shop")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logger.removeHandler(handler)


def test_every_call_of_two_hundred_sagas_knows_its_saga(engine: WorkflowEngine) -> None:  # noqa: C901  # a small shop
    seen: dict[str, list[tuple[str, str | None]]] = defaultdict(list)

    def note(place: str, owner: str) -> None:
        seen[owner].append((place, current_saga_id.get()))

    async def reserve(owner: str) -> str:
        note("reserve", owner)
        await asyncio.sleep(0.001)
        note("reserved", owner)
        return owner

    def charge(owner: str) -> str:
        note("charge", owner)
        return owner

    async def ship(owner: str) -> None:
        step = current_step.get()
        assert step
        assert step.results == {"reserve": owner, "charge": owner}
        note("ship", owner)
        if owner.endswith("3"):
            raise ValueError("no van")

    def refund(owner: str) -> None:
        step = current_step.get()
        assert step
        assert (step.step, step.result) == ("charge", owner)
        note("refund", owner)

    async def release(owner: str) -> None:
        await asyncio.sleep(0)
        note("release", owner)

    async def hear(event: Event) -> None:
        await asyncio.sleep(0.001)
        note(event.type, event.data["saga_id"])

    async def act() -> None:
        bus = EventBus()
        bus.subscribe("*", hear)
        for number in range(MANY):
            saga = Saga(f"order-{number}", bus)
            owner = (saga.saga_id,)
            saga.add_step(SagaStep("reserve", reserve, release, owner))
            saga.add_step(SagaStep("charge", charge, refund, owner))
            saga.add_step(SagaStep("ship", ship, None, owner, after=("reserve", "charge")))
            engine.register_saga(saga)
        results = await asyncio.gather(
            *(engine.execute_saga(f"order-{number}") for number in range(MANY)), return_exceptions=True
        )
        assert sum(isinstance(result, SagaFailed) for result in results) == MANY / 10
        await bus.drain(30)

    asyncio.run(act())

    assert len(seen) == MANY
    assert {owner: {saga_id for _, saga_id in places} for owner, places in seen.items()} == {
        each: {each} for each in seen
    }
    called = {owner: {place for place, _ in places} for owner, places in seen.items()}
    assert all(
        {"reserve", "reserved", "charge", "ship", "step_completed:reserve"} <= places for places in called.values()
    )
    undone = {owner for owner, places in called.items() if {"refund", "release", "saga_failed"} <= places}
    assert undone == {owner for owner in seen if owner.endswith("3")}
    assert current_saga_id.get() is None


def test_log_lines_say_which_saga_and_step_they_are_about(
    engine: WorkflowEngine, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    log = logging.getLogger("shop")

    async def reserve() -> None:
        log.info("reserving")

    def charge() -> None:
        log.info("charging")

    saga = Saga("order-1")
    saga.add_step(SagaStep("stock", reserve))
    saga.add_step(SagaStep("payment", charge))
    engine.register_saga(saga)
    engine.execute_saga_sync("order-1")
    log.info("over")

    found = {line["event"]: (line.get("saga_id"), line.get("step")) for line in lines()}
    assert found == {"reserving": ("order-1", "stock"), "charging": ("order-1", "payment"), "over": (None, None)}


def test_a_step_has_one_key_over_all_attempts(engine: WorkflowEngine, diary: Diary) -> None:
    keys: list[tuple[str, int]] = []

    async def act() -> None:
        step = current_step.get()
        assert step is not None
        keys.append((step.idempotency_key, step.attempt))
        if step.attempt < 3:
            raise OSError("away")

    saga = Saga("order-1")
    saga.add_step(SagaStep("payment", act, retry=Retry(backoff_s=0)))
    engine.register_saga(saga)
    engine.execute_saga_sync("order-1")

    assert keys == [(f"{row().id}:payment", attempt) for attempt in (1, 2, 3)]


def test_events_of_the_log_name_their_saga(engine: WorkflowEngine, diary: Diary) -> None:
    engine.register_saga(Saga("order-1").add_step(diary.step("stock")))
    engine.execute_saga_sync("order-1")

    metadata = StoredEvent.objects.filter(aggregate_id=row().id).values_list("metadata", flat=True)
    assert {(each["saga_id"], each["correlation_id"]) for each in metadata} == {("order-1", str(row().id))}


def test_what_the_caller_set_is_seen_by_the_steps_and_nothing_comes_back(engine: WorkflowEngine) -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")
    seen: list[str] = []

    async def act() -> None:
        seen.append(who.get())
        who.set("the step")

    engine.register_saga(Saga("order-1").add_step(SagaStep("a", act)).add_step(SagaStep("b", act, after="a")))

    async def call() -> None:
        who.set("the caller")
        await engine.execute_saga("order-1")
        seen.append(who.get())

    asyncio.run(call())

    assert seen == ["the caller"] * 3


def test_the_bus_hears_of_steps_and_of_the_end(engine: WorkflowEngine, diary: Diary) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []

    async def act() -> None:
        bus = EventBus()
        bus.subscribe("*", lambda event: heard.append((event.type, event.data)))
        good = Saga("good", bus).add_step(diary.step("stock", gives=1)).add_step(diary.step("pay", after="stock"))
        bad = Saga("bad", bus).add_step(diary.step("stock", gives=2))
        bad.add_step(diary.step("pay", after="stock", fails=ValueError("no")))
        for saga in (good, bad):
            engine.register_saga(saga)
        await engine.execute_saga("good")
        with pytest.raises(SagaFailed):
            await engine.execute_saga("bad")
        await bus.drain(10)

    asyncio.run(act())

    assert heard == [
        ("step_completed:stock", {"saga_id": "good", "step": "stock", "result": 1}),
        ("step_completed:pay", {"saga_id": "good", "step": "pay", "result": "pay done"}),
        ("saga_completed", {"saga_id": "good", "step": None, "result": {"stock": 1, "pay": "pay done"}}),
        ("step_completed:stock", {"saga_id": "bad", "step": "stock", "result": 2}),
        ("step_compensated:stock", {"saga_id": "bad", "step": "stock", "result": "undo stock done"}),
        ("saga_failed", {"saga_id": "bad", "step": None, "result": {"code": "ValueError", "detail": "no"}}),
    ]
