"""CompensationManager: asks for roll-backs of sagas and of runs, waits for them, and says how far they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync

from engine import errors
from engine.compensation_manager import CompensationManager
from engine.nodes.outcomes import Failed
from engine.sagas import loop as sagas
from engine.sagas import starting
from engine.sagas.builder import Retry, Saga, SagaStep
from flows.errors import IllegalTransition
from tenants.models import Tenant
from tests.engine.compensation.conftest import NO, Book, make_due, trip, undone, work
from tests.support.passage import Passage
from tests.support.soundness import assert_all_sound


def do(name: str) -> str:
    """A step."""
    Book.log.append(("do", name, None))
    return name


def undo(name: str) -> None:
    """Its compensation; a test may have it fail."""
    Book.log.append(("undo", name, None))
    if Book.answers.get(f"undo {name}"):
        Book.answers[f"undo {name}"].pop(0)
        raise ConnectionError("away")


def wait_for_ever() -> None:
    """A step that nobody does: its activity is never due in a test."""


def order(*names: str, retry: Retry | None = None) -> Saga:
    steps = [
        SagaStep(name, do, undo, args=(name,), after=names[n - 1 : n] if n else (), retry=retry)
        for n, name in enumerate(names)
    ]
    return Saga("order", steps=[*steps, SagaStep("last", wait_for_ever, after=names[-1:])])


@pytest.fixture
def manager(tenant: Tenant) -> CompensationManager:
    return CompensationManager(tenant)


@pytest.fixture
def failed(passage: Callable[..., Passage]) -> Passage:
    Book.answers["courier"] = [NO]
    ada = passage(trip(on_failure="fail")).start()
    work()
    return ada


def test_a_run_is_rolled_back_without_any_worker(manager: CompensationManager, failed: Passage) -> None:
    found = manager.compensate_sync(failed.id, reason="a call", actor="olga")

    assert found == {
        "id": str(failed.id),
        "kind": "flow",
        "state": "compensated",
        "undone": ["payment", "stock"],
        "left": [],
        "error": failed.instance.error,
    }
    assert undone() == ["c-1", "stock"]
    assert_all_sound()


def test_asking_is_not_waiting(manager: CompensationManager, failed: Passage) -> None:
    found = manager.schedule_sync(failed.instance)

    assert (found["state"], found["left"], undone()) == ("compensating", ["payment", "stock"], [])
    work()
    assert manager.status_sync(failed.id)["state"] == "compensated"


def test_one_that_is_stuck_says_what_is_left_and_goes_on_when_asked_again(
    manager: CompensationManager, failed: Passage
) -> None:
    Book.answers["refund"] = [NO]

    found = manager.compensate_sync(failed.id)
    assert (found["state"], found["left"], found["error"]["code"]) == (
        "compensation_failed",
        ["payment", "stock"],
        "full",
    )

    assert manager.compensate_sync(failed.id)["state"] == "compensated"


def test_what_takes_too_long_goes_on_without_its_caller(manager: CompensationManager, failed: Passage) -> None:
    Book.answers["refund"] = [Failed("bank is away")]

    with pytest.raises(TimeoutError):
        manager.compensate_sync(failed.id, timeout=0.3)

    make_due()
    work()
    assert manager.status_sync(failed.id)["state"] == "compensated"


def test_asynchronous_callers_wait_in_their_loop(manager: CompensationManager, failed: Passage) -> None:
    found = async_to_sync(manager.compensate)(failed.id)

    assert (found["state"], undone()) == ("compensated", ["c-1", "stock"])


def begin(tenant: Tenant, saga_id: str, saga: Saga) -> None:
    starting.start_saga_sync(saga, saga_id, tenant=tenant)
    sagas.run()


def test_a_saga_is_cancelled_and_undone_in_reverse(manager: CompensationManager, tenant: Tenant) -> None:
    begin(tenant, "order-1", order("stock", "card"))
    for _ in range(2):
        manager._lend_a_hand("order-1")

    found = manager.compensate_sync("order-1", reason="changed their mind")

    assert (found["state"], found["kind"], found["left"]) == ("COMPENSATED", "saga", [])
    assert [what for verb, what, _ in Book.log if verb == "undo"] == ["card", "stock"]
    assert set(found["undone"]) == {"stock", "card"}
    with pytest.raises(errors.SagaFinished):
        manager.schedule_sync("order-1")


def test_a_saga_that_is_stuck_goes_on_undoing(manager: CompensationManager, tenant: Tenant) -> None:
    Book.answers["undo card"] = [NO]
    begin(tenant, "order-1", order("stock", "card", retry=Retry(attempts=1)))
    for _ in range(2):
        manager._lend_a_hand("order-1")
    found = manager.compensate_sync("order-1")
    assert (found["state"], set(found["left"])) == ("FAILED", {"stock", "card"})

    assert manager.compensate_sync("order-1")["state"] == "COMPENSATED"
    assert [what for verb, what, _ in Book.log if verb == "undo"] == ["card", "card", "stock"]


def test_of_many_none_keeps_another_from_its_turn(
    manager: CompensationManager, tenant: Tenant, failed: Passage
) -> None:
    begin(tenant, "order-1", order("stock"))
    nobody = uuid4()

    found = manager.batch_sync([failed.id, "order-9", nobody, "order-1"])
    work()

    said = [each.get("state") or each["refusal"]["code"] for each in found]
    assert said == ["compensating", "not_found", "not_found", "COMPENSATED"]
    assert [each["id"] for each in found] == [str(failed.id), "order-9", str(nobody), "order-1"]
    assert failed.status == "compensated"


def test_another_tenants_run_and_saga_are_unknown(tenant: Tenant, other_tenant: Tenant, failed: Passage) -> None:
    begin(tenant, "order-1", order("stock"))
    theirs = CompensationManager(other_tenant)

    for ask in (theirs.status_sync, theirs.schedule_sync):
        with pytest.raises(errors.UnknownInstance):
            ask(failed.id)
        with pytest.raises(errors.UnknownSaga):
            ask("order-1")


def test_what_stands_elsewhere_is_refused(manager: CompensationManager, passage: Callable[..., Passage]) -> None:
    ada = passage(trip()).start()

    with pytest.raises(IllegalTransition):
        manager.schedule_sync(UUID(str(ada.id)))


def test_every_method_has_an_asynchronous_twin(manager: CompensationManager, failed: Passage) -> None:
    async def story() -> list[Any]:
        first = await manager.batch([failed.id])
        return [first[0]["state"], (await manager.status(failed.id))["kind"]]

    assert async_to_sync(story)() == ["compensating", "flow"]
