"""A saga executed where it was registered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from engine import Saga, SagaStep, WorkflowEngine
from engine.errors import SagaFailed, SagaFinished, UnknownSaga
from tests.engine.sagas.local.conftest import Diary, log_of, row

Register = Callable[..., Saga]


def test_results_come_in_the_order_of_the_steps(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    register(diary.step("stock", gives=1), diary.step("payment", gives={"id": 2}), diary.step("courier", gives=[3]))

    results = asyncio.run(engine.execute_saga("order-1", timeout=60.0))

    assert results == [1, {"id": 2}, [3]]
    assert row().status == "COMPLETED"
    assert row().lease_holder is None


def test_every_transition_is_an_event(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    register(diary.step("stock"), diary.step("payment", after=("stock",)))

    asyncio.run(engine.execute_saga("order-1"))

    assert log_of() == [
        "saga_created",
        "saga_started",
        "step_started stock",
        "step_completed stock",
        "step_started payment",
        "step_completed payment",
        "saga_completed",
    ]


def test_a_failure_undoes_what_was_done_in_reverse(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    declined = ValueError("declined")
    register(
        diary.step("stock"),
        diary.step("payment", after=("stock",)),
        diary.step("courier", after=("payment",), fails=declined),
    )

    with pytest.raises(SagaFailed) as failure:
        asyncio.run(engine.execute_saga("order-1"))

    assert failure.value.__cause__ is declined
    assert diary.undone() == ["payment", "stock"]
    assert row().status == "COMPENSATED"
    assert log_of()[-6:] == [
        "compensation_started",
        "step_compensation_started payment",
        "step_compensated payment",
        "step_compensation_started stock",
        "step_compensated stock",
        "saga_compensated",
    ]


def test_a_finished_saga_is_not_executed_again(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    register(diary.step("stock"))
    asyncio.run(engine.execute_saga("order-1"))

    with pytest.raises(SagaFinished):
        asyncio.run(engine.execute_saga("order-1"))

    assert diary.done() == ["stock"]


def test_an_unregistered_saga_is_unknown(engine: WorkflowEngine) -> None:
    with pytest.raises(UnknownSaga):
        asyncio.run(engine.execute_saga("nobody"))


def test_the_status_tells_what_is_completed(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    register(diary.step("stock"), diary.step("payment", after=("stock",)))

    async def look() -> tuple[Any, Any]:
        before = await engine.get_saga_status("order-1")
        await engine.execute_saga("order-1")
        return before, await engine.get_saga_status("order-1")

    before, after = asyncio.run(look())

    assert (before["saga_id"], before["state"], before["steps_completed"]) == ("order-1", "PENDING", [])
    assert (after["saga_id"], after["state"], after["steps_completed"]) == (
        "order-1",
        "COMPLETED",
        ["stock", "payment"],
    )


def test_synchronous_callables_run_in_threads(engine: WorkflowEngine, register: Register) -> None:
    called: list[str] = []

    def charge(amount: int, *, currency: str) -> str:
        called.append(f"{amount} {currency}")
        return "charged"

    register(SagaStep("payment", charge, None, (100,), {"currency": "EUR"}))

    assert engine.execute_saga_sync("order-1") == ["charged"]
    assert called == ["100 EUR"]
