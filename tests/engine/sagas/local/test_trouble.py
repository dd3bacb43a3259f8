"""Steps that fail, hang, or are slow to undo."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from engine import Retry, Saga, SagaStep, WorkflowEngine
from engine.errors import SagaFailed, SagaTimedOut
from tests.engine.sagas import calls
from tests.engine.sagas.local.conftest import Diary, log_of, reaches, row

Register = Callable[..., Saga]

QUICKLY = Retry(attempts=3, backoff_s=0.01)


def failing(times: int, error: BaseException, *, seen: list[int]) -> Callable[..., Any]:
    """An action that raises so many times, and then gives how often it was called."""

    async def act() -> int:
        seen.append(len(seen) + 1)
        if len(seen) <= times:
            raise error
        return len(seen)

    return act


def test_a_step_is_tried_as_often_as_its_retry_says(engine: WorkflowEngine, register: Register) -> None:
    seen: list[int] = []
    register(SagaStep("payment", failing(2, OSError("away"), seen=seen), retry=QUICKLY))

    assert engine.execute_saga_sync("order-1") == [3]
    assert row().steps[0]["attempts"] == 3
    assert log_of().count("step_failed payment") == 2


def test_a_step_without_a_retry_is_called_once(engine: WorkflowEngine, register: Register) -> None:
    seen: list[int] = []
    register(SagaStep("payment", failing(1, OSError("away"), seen=seen)))

    with pytest.raises(SagaFailed):
        engine.execute_saga_sync("order-1")

    assert seen == [1]


@pytest.mark.parametrize("named", [LookupError, "KeyError"], ids=["class above", "name"])
def test_some_errors_are_not_worth_another_attempt(engine: WorkflowEngine, register: Register, named: Any) -> None:
    seen: list[int] = []
    retry = Retry(attempts=3, backoff_s=0.01, non_retryable=[named])
    register(SagaStep("payment", failing(1, KeyError("card"), seen=seen), retry=retry))

    with pytest.raises(SagaFailed) as failure:
        engine.execute_saga_sync("order-1")

    assert seen == [1]
    assert isinstance(failure.value.__cause__, KeyError)


def test_a_step_that_takes_too_long_is_stopped_and_undone(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    register(diary.step("stock"), SagaStep("payment", forever, diary.undo("payment"), after=("stock",), timeout=0.05))

    with pytest.raises(SagaFailed) as failure:
        engine.execute_saga_sync("order-1")

    assert isinstance(failure.value.__cause__, TimeoutError)
    assert diary.undone() == ["payment", "stock"]
    assert row().steps[1]["state"] == "unknown"


def test_the_saga_takes_no_longer_than_it_is_given(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    register(diary.step("stock"), SagaStep("payment", forever, diary.undo("payment")), diary.step("x", after="payment"))

    with pytest.raises(SagaTimedOut):
        engine.execute_saga_sync("order-1", timeout=0.2)

    assert diary.undone() == ["payment", "stock"]
    assert row().steps[2]["state"] == "skipped"
    assert row().status == "COMPENSATED"


def test_a_thread_is_awaited_before_anything_is_undone(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    release = threading.Event()

    def slow() -> str:
        release.wait(60)
        diary.entries.append("slow ended")
        return "late"

    async def act() -> None:
        executing = asyncio.create_task(engine.execute_saga("order-1"))
        await reaches(engine, lambda status: status["ending"])
        assert diary.undone() == []
        release.set()
        with pytest.raises(SagaFailed) as failure:
            await executing
        assert isinstance(failure.value.__cause__, TimeoutError)

    register(diary.step("stock"), SagaStep("slow", slow, diary.undo("slow"), timeout=0.05))
    asyncio.run(act())

    assert diary.entries == ["stock", "slow ended", "undo slow", "undo stock"]
    assert row().steps[1]["state"] == "completed"


def test_a_thread_that_ends_late_but_well_may_have_attempts_left(engine: WorkflowEngine, register: Register) -> None:
    release = threading.Event()

    def slow() -> str:
        release.wait(60)
        return "late"

    async def act() -> list[Any]:
        asyncio.get_running_loop().call_later(0.15, release.set)
        return await engine.execute_saga("order-1")

    register(SagaStep("slow", slow, timeout=0.05, retry=QUICKLY))

    assert asyncio.run(act()) == ["late"]


def test_a_compensation_is_tried_again(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    seen: list[int] = []
    undo = failing(2, OSError("away"), seen=seen)
    register(SagaStep("stock", diary.action("stock"), undo), diary.step("x", fails=ValueError("no"), after="stock"))

    with pytest.raises(SagaFailed):
        engine.execute_saga_sync("order-1")

    assert seen == [1, 2, 3]
    assert row().status == "COMPENSATED"


def test_a_compensation_that_stays_failing_leaves_the_saga_stuck_until_it_is_executed_again(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    seen: list[int] = []
    undo = failing(2, OSError("away"), seen=seen)
    register(
        diary.step("first"),
        SagaStep("stock", diary.action("stock"), undo, after="first", retry=Retry(2, 0.01)),
        diary.step("x", fails=ValueError("no"), after="stock"),
    )

    with pytest.raises(SagaFailed, match="stuck") as failure:
        engine.execute_saga_sync("order-1")

    assert failure.value.extra == {"left": ["stock", "first"], "reason": "compensation_failed"}
    assert row().status == "FAILED"

    with pytest.raises(SagaFailed, match="undone"):
        engine.execute_saga_sync("order-1")

    assert row().status == "COMPENSATED"
    assert diary.undone() == ["first"]
    assert diary.done() == ["first", "stock", "x"]


def test_after_the_pivot_there_is_only_forward(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    seen: list[int] = []
    courier = SagaStep("courier", failing(1, OSError("away"), seen=seen), after="payment")
    register(diary.step("stock"), diary.step("payment", after="stock", pivot=True), courier)

    with pytest.raises(SagaFailed) as failure:
        engine.execute_saga_sync("order-1")

    assert failure.value.extra["reason"] == "failed_after_pivot"
    assert diary.undone() == []

    assert engine.execute_saga_sync("order-1") == ["stock done", "payment done", 2]
    assert diary.done() == ["stock", "payment"]


def test_a_result_that_cannot_be_kept_fails_its_step_which_is_undone(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    register(diary.step("stock", gives=object(), retry=QUICKLY))

    with pytest.raises(SagaFailed, match="cannot be kept as JSON"):
        engine.execute_saga_sync("order-1")

    assert diary.entries == ["stock", "undo stock"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
def test_whatever_a_step_raises_is_its_failure(
    engine: WorkflowEngine, diary: Diary, register: Register, error: BaseException
) -> None:
    register(diary.step("stock"), diary.step("payment", after="stock", fails=error))

    with pytest.raises(SagaFailed) as failure:
        engine.execute_saga_sync("order-1")

    assert failure.value.__cause__ is error
    assert "stock" in diary.undone()


def test_a_step_that_swallows_its_cancellation_is_awaited(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    async def stubborn() -> str:
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                diary.entries.append("asked")
        diary.entries.append("ended")
        return "well"

    register(SagaStep("stubborn", stubborn, diary.undo("stubborn")), diary.step("x", fails=ValueError("no")))

    with pytest.raises(SagaFailed):
        engine.execute_saga_sync("order-1")

    assert diary.entries == ["x", "asked", "ended", "undo stubborn"]
    assert row().steps[0]["result"] == "well"


def test_a_coroutine_made_in_a_thread_is_awaited(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    action = diary.action("stock")

    def begin(word: str) -> Any:
        diary.entries.append(word)
        return action()

    register(SagaStep("stock", begin, args=("begun",)))

    assert engine.execute_saga_sync("order-1") == ["stock done"]
    assert diary.entries == ["begun", "stock"]


def test_an_error_that_cannot_be_told_is_a_failure_like_any_other(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    register(diary.step("stock"), SagaStep("payment", calls.be_speechless, after="stock"))

    with pytest.raises(SagaFailed) as failure:
        engine.execute_saga_sync("order-1")

    assert isinstance(failure.value.__cause__, calls.Speechless)
    assert (row().status, row().steps[1]["error"]) == ("COMPENSATED", {"code": "Speechless", "detail": "Speechless"})
