"""What a process and the workers share: durable handlers, the log, the snapshot of a saga's state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine import Event, EventBus, Saga, SagaStep, WorkflowEngine
from engine.errors import SagaExists, SagaFailed, SagaRunning
from engine.models import Activity
from tests.engine.sagas.local.conftest import Diary, row

Register = Callable[..., Saga]


def note_durably(event: Event) -> None:
    """Called by workers alone."""


def test_a_durable_handler_gets_its_delivery_in_the_step_s_own_transaction(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    bus = EventBus()
    bus.subscribe("step_completed:*", note_durably)
    try:
        register(diary.step("stock"), diary.step("pay", after="stock", fails=ValueError("no")), bus=bus)
        with pytest.raises(SagaFailed):
            engine.execute_saga_sync("order-1")
    finally:
        bus.unsubscribe("step_completed:*", note_durably)

    (delivery,) = Activity.objects.filter(kind="delivery")
    told = delivery.input["event"]
    assert (told["type"], told["data"]["saga_id"]) == ("step_completed:stock", "order-1")
    assert told["metadata"]["saga_id"] == "order-1"


def test_a_saga_of_the_workers_is_not_executed_here(engine: WorkflowEngine, diary: Diary, register: Register) -> None:
    engine.start_saga_sync(Saga("x").add_step(SagaStep("a", len, args=([],))), "order-1")
    register(SagaStep("a", len, args=([],)))

    with pytest.raises(SagaRunning):
        engine.execute_saga_sync("order-1")

    assert row().runs_in == "workers"
    assert engine.get_saga_status_sync("order-1")["state"] == "RUNNING"


def test_an_id_that_a_process_used_is_not_started_on_workers(
    engine: WorkflowEngine, diary: Diary, register: Register
) -> None:
    register(diary.step("a"))
    engine.execute_saga_sync("order-1")

    with pytest.raises(SagaExists):
        engine.start_saga_sync(Saga("x").add_step(SagaStep("a", len, args=([],))), "order-1")


@pytest.mark.parametrize("steps", [0, 1, 50])
def test_a_saga_has_as_many_steps_as_it_likes(
    engine: WorkflowEngine, diary: Diary, register: Register, steps: int
) -> None:
    chain: list[Any] = [diary.step(f"s{number}", after=[f"s{number - 1}"] if number else []) for number in range(steps)]
    register(*chain)

    assert engine.execute_saga_sync("order-1") == [f"s{number} done" for number in range(steps)]
    assert row().status == "COMPLETED"
