"""Who holds a saga, however busy, interrupted or forgotten the loop is that executes it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from engine import EventBus, Saga, SagaStep, WorkflowEngine
from engine.errors import InvalidSaga, SagaChanged, SagaFailed, SagaRunning
from engine.sagas import recovery
from tests.engine.sagas.local.conftest import Diary, log_of

Register = Callable[..., Saga]

META = {"actor": "sweep", "task_id": ""}


def test_a_loop_that_is_busy_keeps_its_sagas(
    engine: WorkflowEngine, diary: Diary, register: Register, settings: Any
) -> None:
    settings.KALCIFER_LEASE_S = 0.5
    taken: list[int] = []

    def sweep_for_a_while() -> None:
        for _ in range(15):
            taken.append(recovery.take_over(META))
            never.wait(0.1)
        connections.close_all()

    async def block_the_loop() -> None:
        sweeping = threading.Thread(target=sweep_for_a_while)
        sweeping.start()
        sweeping.join()

    never = threading.Event()
    register(SagaStep("busy", block_the_loop), diary.step("next", after="busy"))

    assert engine.execute_saga_sync("order-1") == [None, "next done"]
    assert taken == [0] * 15


def test_a_call_waits_until_the_lease_is_sure(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    """As after a freeze that was shorter than anybody else's patience."""
    asked: list[float] = []

    async def first() -> None:
        (pilot,) = engine._pilots.values()
        real = pilot.runner.may_call_until

        def once_too_late() -> float:
            asked.append(real())
            return 0.0 if len(asked) == 1 else real()

        pilot.runner.may_call_until = once_too_late

    register(SagaStep("first", first), diary.step("second", after="first"))

    assert engine.execute_saga_sync("order-1") == [None, "second done"]
    assert len(asked) == 2
    assert log_of().count("step_started second") == 1


def test_a_loop_that_is_closed_lets_its_sagas_go(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    register(diary.step("stock"), SagaStep("hang", hang, after="stock"))
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    executing = loop.create_task(engine.execute_saga("order-1"))
    loop.run_until_complete(begun.wait())
    executing.get_coro().close()
    loop.close()
    del executing

    register(diary.step("stock"), SagaStep("hang", diary.action("hang"), after="stock"))

    async def as_soon_as_it_is_free() -> Any:
        while True:
            try:
                return await engine.execute_saga("order-1")
            except SagaRunning:
                continue

    assert asyncio.run(as_soon_as_it_is_free()) == ["stock done", "hang done"]
    assert diary.done() == ["stock", "hang"]


def test_a_saga_is_gone_on_with_only_in_its_own_shape(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    register(diary.step("a", pivot=True), diary.step("b", after="a", fails=OSError("away")))
    with pytest.raises(SagaFailed, match="stuck"):
        engine.execute_saga_sync("order-1")

    for steps in ([diary.step("a", pivot=True)], [diary.step("a", pivot=True), diary.step("b")]):
        register(*steps)
        with pytest.raises(SagaChanged):
            engine.execute_saga_sync("order-1")

    register(diary.step("a", pivot=True), diary.step("b", after="a"))
    assert engine.execute_saga_sync("order-1") == ["a done", "b done"]


def test_a_bus_of_another_tenant_is_refused(engine: WorkflowEngine, diary: Diary, other_tenant: Any) -> None:
    engine.register_saga(Saga("order-1", EventBus(other_tenant)).add_step(diary.step("a")))

    with pytest.raises(InvalidSaga, match="another tenant"):
        engine.execute_saga_sync("order-1")

    assert diary.entries == []


def test_what_is_no_bus_is_refused(engine: WorkflowEngine) -> None:
    with pytest.raises(InvalidSaga):
        engine.register_saga(Saga("order-1", object()))


def test_a_loop_is_not_held_up_by_a_synchronous_call(engine: WorkflowEngine) -> None:
    async def act() -> None:
        engine.execute_saga_sync("order-1")

    with pytest.raises(RuntimeError, match="await execute_saga"):
        asyncio.run(act())


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "60", True])
def test_a_timeout_is_a_number_of_seconds(engine: WorkflowEngine, timeout: Any) -> None:
    with pytest.raises(InvalidSaga):
        engine.execute_saga_sync("order-1", timeout=timeout)
