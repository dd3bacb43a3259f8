"""Sagas that somebody ends: by their id, by cancelling whoever waits, from another process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from engine import Saga, SagaStep, WorkflowEngine, current_saga_id
from engine.errors import SagaCancelled, SagaEnding, SagaFinished, UnknownSaga
from engine.sagas import controls
from tests.engine.sagas.local.conftest import Diary, log_of, reaches, row

Register = Callable[..., Saga]


class Gate:
    """An action that waits until it is let go on, and says when it has begun."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self) -> str:
        self.begun.set()
        await self.opened.wait()
        return "through"


async def executed(engine: WorkflowEngine) -> Any:
    try:
        return await engine.execute_saga("order-1")
    except SagaCancelled as error:
        return error


def test_a_cancelled_saga_is_undone_before_the_call_returns(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    async def act() -> tuple[Any, Any]:
        gate = Gate()
        register(diary.step("stock"), SagaStep("payment", gate, diary.undo("payment")))
        executing = asyncio.create_task(executed(engine))
        await gate.begun.wait()
        await reaches(engine, lambda status: status["steps_completed"])
        return await engine.cancel_saga("order-1", "changed my mind"), await executing

    status, error = asyncio.run(act())

    assert isinstance(error, SagaCancelled)
    assert "changed my mind" in error.detail
    assert status["state"] == "COMPENSATED"
    assert diary.undone() == ["payment", "stock"]


def test_a_saga_is_cancelled_once(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    async def act() -> None:
        gate = Gate()
        register(SagaStep("payment", gate), diary.step("stock"))
        executing = asyncio.create_task(executed(engine))
        await gate.begun.wait()
        answers = await asyncio.gather(*(engine.cancel_saga("order-1") for _ in range(5)), return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in answers) == ["SagaEnding"] * 4 + ["dict"]
        assert isinstance(await executing, SagaCancelled)

    asyncio.run(act())

    assert log_of().count("saga_ending") == 1


def test_what_is_over_cannot_be_cancelled(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    register(diary.step("stock"))
    engine.execute_saga_sync("order-1")

    with pytest.raises(SagaFinished):
        engine.cancel_saga_sync("order-1")

    with pytest.raises(UnknownSaga):
        engine.cancel_saga_sync("nobody")


def test_a_saga_that_was_never_executed_is_cancelled_too(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    register(diary.step("stock"))

    status = engine.cancel_saga_sync("order-1")

    assert status["state"] == "COMPENSATED"
    assert diary.entries == []
    with pytest.raises(SagaFinished):
        engine.execute_saga_sync("order-1")


def test_a_step_may_cancel_its_own_saga(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    async def give_up() -> None:
        await engine.cancel_saga(current_saga_id.get() or "")

    register(diary.step("stock"), SagaStep("doubt", give_up, diary.undo("doubt"), after="stock"))

    with pytest.raises(SagaCancelled):
        engine.execute_saga_sync("order-1")

    assert diary.undone() == ["doubt", "stock"]


def test_the_cancellation_of_the_caller_is_raised_when_everything_is_undone(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    async def act() -> None:
        gate = Gate()
        register(diary.step("stock"), SagaStep("payment", gate, diary.undo("payment"), after="stock"))
        executing = asyncio.create_task(engine.execute_saga("order-1"))
        await gate.begun.wait()
        executing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await executing
        assert diary.undone() == ["payment", "stock"]

    asyncio.run(act())

    assert row().status == "COMPENSATED"
    assert row().ending["cause"] == "cancelled"


def test_a_second_cancellation_does_not_abandon_the_compensation(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    async def act() -> None:
        gate, undoing = Gate(), Gate()
        register(SagaStep("stock", diary.action("stock"), undoing), SagaStep("payment", gate, after="stock"))
        executing = asyncio.create_task(engine.execute_saga("order-1"))
        await gate.begun.wait()
        executing.cancel()
        await undoing.begun.wait()
        for _ in range(3):
            executing.cancel()
            await asyncio.sleep(0)
        assert not executing.done()
        undoing.opened.set()
        with pytest.raises(asyncio.CancelledError):
            await executing

    asyncio.run(act())

    assert row().status == "COMPENSATED"


def test_a_timeout_around_the_call_is_a_cancellation(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    async def act() -> None:
        register(SagaStep("payment", Gate(), diary.undo("payment")))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await engine.execute_saga("order-1")

    asyncio.run(act())

    assert diary.undone() == ["payment"]
    assert row().status == "COMPENSATED"


def test_a_loop_that_ends_takes_its_sagas_along(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    """asyncio.run cancels whatever still runs: the call, and the step's task itself."""
    forgotten: list[Any] = []

    async def act() -> None:
        gate = Gate()
        register(diary.step("stock"), SagaStep("payment", gate, diary.undo("payment"), after="stock"))
        forgotten.append(asyncio.create_task(engine.execute_saga("order-1")))
        await gate.begun.wait()

    asyncio.run(act())

    assert row().status == "COMPENSATED"
    assert diary.undone() == ["payment", "stock"]


def test_a_step_that_has_not_begun_when_the_saga_ends_is_not_undone(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    async def act() -> None:
        gate = Gate()
        register(SagaStep("first", gate, diary.undo("first")), diary.step("second", after="first"))
        executing = asyncio.create_task(executed(engine))
        await gate.begun.wait()
        await engine.cancel_saga("order-1")
        await executing

    asyncio.run(act())

    assert diary.entries == ["undo first"]
    assert [step["state"] for step in row().steps] == ["unknown", "skipped"]


def test_a_thread_is_awaited_when_its_saga_is_cancelled(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    begun, release = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        release.wait(60)
        diary.entries.append("slow")
        return "done"

    async def act() -> None:
        register(SagaStep("slow", slow, diary.undo("slow")))
        executing = asyncio.create_task(executed(engine))
        await asyncio.to_thread(begun.wait, 10)
        cancelling = asyncio.create_task(engine.cancel_saga("order-1"))
        await reaches(engine, lambda status: status["ending"])
        assert diary.entries == []
        release.set()
        assert (await cancelling)["state"] == "COMPENSATED"
        assert isinstance(await executing, SagaCancelled)

    asyncio.run(act())

    assert diary.entries == ["slow", "undo slow"]


def test_somebody_elsewhere_may_cancel_it(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    """As another process does: by the row alone, of which the lease's renewal tells."""

    async def act() -> Any:
        gate = Gate()
        register(SagaStep("payment", gate, diary.undo("payment")))
        executing = asyncio.create_task(executed(engine))
        await gate.begun.wait()
        await controls.cancel_saga("order-1", actor="operator")
        with pytest.raises(SagaEnding):
            await controls.cancel_saga("order-1")
        return await executing

    assert isinstance(asyncio.run(act()), SagaCancelled)
    assert diary.undone() == ["payment"]
    assert row().status == "COMPENSATED"


@pytest.mark.parametrize("ahead", range(8))
def test_cancellation_and_completion_agree_on_what_happened(
    engine: WorkflowEngine, diary: Diary, register: Register, ahead: int
) -> None:
    async def act() -> tuple[Any, Any]:
        begun = asyncio.Event()

        async def pay() -> str:
            begun.set()
            return "payment done"

        register(diary.step("stock"), SagaStep("payment", pay, diary.undo("payment")))
        executing = asyncio.create_task(executed(engine))
        await begun.wait()
        for _ in range(ahead):
            await asyncio.sleep(0)
        try:
            cancelled: Any = await engine.cancel_saga("order-1")
        except SagaFinished as error:
            cancelled = error
        return cancelled, await executing

    cancelled, result = asyncio.run(act())

    if row().status == "COMPLETED":
        assert isinstance(cancelled, SagaFinished)
        assert result == ["stock done", "payment done"]
        assert diary.undone() == []
    else:
        assert cancelled["state"] == "COMPENSATED"
        assert isinstance(result, SagaCancelled)
        assert sorted(diary.undone()) == ["payment", "stock"]
