"""Sagas of processes that died: handed to the workers, or stuck with what is left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from engine import errors, sweeper
from engine.models import Activity, SagaRun
from engine.sagas import controls, recovery, write
from engine.sagas.builder import Saga, SagaStep
from engine.sagas.state import SagaState
from engine.sagas.workflow_engine import WorkflowEngine
from engine.sagas.write import Move
from tenants.ids import uuid7
from tenants.models import Tenant
from tests.engine.conftest import NOON
from tests.engine.sagas import calls
from tests.engine.sagas.conftest import Followed, lease, step, work
from tests.support.soundness import assert_all_sound

META = {"actor": "test"}
HOLDER = str(uuid7())
Abandon = Callable[..., Followed]


@pytest.fixture
def abandon(tenant: Tenant) -> Abandon:
    """A saga that a process ran until these events, and then no more."""

    def make(steps: list[SagaStep], *events: tuple[str, dict[str, Any]], name: str = "order-1") -> Followed:
        move = Move(SagaState(id=write.new_id()), NOON, "PENDING", 0)
        created = {"tenant_id": str(tenant.pk), "name": name, "definition": "", "runs_in": "process", "input": {}}
        move.record("saga_created", created | {"plan": [each.as_plan() for each in steps], "deadline_at": None})
        for kind, data in events:
            move.record(kind, data)
        with transaction.atomic():
            assert write.create([move], META)
        let_go(name)
        return Followed(name, tenant)

    return make


def let_go(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE saga_runs SET lease_holder = %s, lease_until = clock_timestamp() - %s WHERE name = %s",
            [HOLDER, timedelta(seconds=1), name],
        )


def began(name: str, attempt: int = 1) -> tuple[str, dict[str, Any]]:
    return "step_started", {"step": name, "attempt": attempt}


def completed(name: str) -> tuple[str, dict[str, Any]]:
    return "step_completed", {"step": name, "attempt": 1, "result": name}


ERROR = {"code": "x", "detail": "y"}
FAILED = ("saga_ending", {"cause": "failure", "step": "c", "error": ERROR})


def test_workers_go_on_where_the_process_left_off(abandon: Abandon) -> None:
    order = abandon(
        [step("a"), step("b"), step("c", after=["a", "b"])],
        ("saga_started", {}), began("a"), began("b"), completed("a"),
    )  # fmt: skip

    assert recovery.take_over(META) == 1
    assert order.row.lease_holder is None
    work()

    assert order.state == "COMPLETED"
    assert calls.done == ["b", "c"]
    assert order.step("b")["attempts"] == 2
    assert order.events.count("saga_taken_over") == 1
    assert_all_sound()


def test_one_that_had_not_begun_is_begun(abandon: Abandon) -> None:
    order = abandon([step("a")])

    recovery.take_over(META)
    work()

    assert order.state == "COMPLETED"


def test_what_ran_while_the_saga_was_ending_is_unknown_and_undone(abandon: Abandon) -> None:
    order = abandon(
        [step("a"), step("b"), step("c")],
        ("saga_started", {}), began("a"), began("b"), began("c"), completed("a"),
        ("step_failed", {"step": "c", "attempt": 1, "error": ERROR, "final": True, "unknown": False}),
        FAILED,
    )  # fmt: skip

    recovery.take_over(META)
    work()

    assert order.state == "COMPENSATED"
    assert calls.done == ["not b", "not a"]
    assert order.step("b")["state"] == "unknown"
    assert_all_sound()


def test_a_roll_back_goes_on_and_what_was_being_undone_is_undone_again(abandon: Abandon) -> None:
    order = abandon(
        [step("a"), step("b"), step("c")],
        ("saga_started", {}), began("a"), began("b"), completed("a"), completed("b"), FAILED,
        ("compensation_started", {"order": ["b", "a"]}), ("step_compensation_started", {"step": "b", "attempt": 1}),
    )  # fmt: skip

    recovery.take_over(META)
    work()

    assert order.state == "COMPENSATED"
    assert calls.done == ["not b", "not a"]
    assert order.step("b")["compensation"]["attempts"] == 2


def test_closures_cannot_be_carried_on_and_what_is_left_is_listed(abandon: Abandon) -> None:
    order = abandon(
        [step("a", lambda _: None), step("b")],
        ("saga_started", {}), began("a"), began("b"), completed("a"), completed("b"),
    )  # fmt: skip

    recovery.take_over(META)

    assert order.state == "FAILED"
    assert (order.row.error["code"], order.status["left"]) == ("not_recoverable", ["b", "a"])
    with pytest.raises(errors.SagaNotRecoverable):
        controls.resume_saga_sync("order-1", tenant=order.tenant)
    assert_all_sound()


def test_one_that_cannot_be_taken_over_leaves_the_next_one_alone(abandon: Abandon) -> None:
    broken = abandon([step("a"), step("b", after=["a"])], ("saga_started", {}), began("a"), completed("a"))
    sound = abandon([step("a")], name="order-2")
    SagaRun.objects.filter(name="order-1").update(plan=[{"name": "a"}])

    assert recovery.take_over(META) == 2

    work()
    assert (broken.state, sound.state) == ("FAILED", "COMPLETED")
    assert broken.row.error["code"] == "not_recoverable"


def test_a_lease_that_is_kept_is_respected(abandon: Abandon) -> None:
    order = abandon([step("a")])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE saga_runs SET lease_until = clock_timestamp() + interval '1 minute'")

    assert recovery.take_over(META) == 0
    assert order.row.runs_in == "process"


def test_a_saga_that_nobody_runs_and_nothing_was_done_of_is_cancelled_here(abandon: Abandon) -> None:
    order = abandon([step("a", lambda _: None)])
    SagaRun.objects.update(lease_holder=None, lease_until=None)

    controls.cancel_saga_sync("order-1", tenant=order.tenant)

    assert order.state == "COMPENSATED"


def test_a_process_hears_of_a_cancellation_and_decides_itself(abandon: Abandon) -> None:
    order = abandon([step("a")], ("saga_started", {}), began("a"))

    assert controls.cancel_saga_sync("order-1", tenant=order.tenant)["state"] == "RUNNING"

    assert order.events[-1] == "saga_ending"
    assert order.row.lease_holder is not None


def test_after_a_restart_of_postgresql_no_lease_has_run_out_before_it_could_be_renewed(
    abandon: Abandon, begin: Callable[..., Followed], settings: Any
) -> None:
    settings.KALCIFER_RESTART_GRACE_S = 1e9
    orders = abandon([step("a")], began("a")), begin(step("a"), name="order-2")
    lease()
    Activity.objects.update(lease_until="2000-01-01T00:00:00Z")

    sweeper.sweep()
    assert [each.row.runs_in for each in orders] == ["process", "workers"]
    assert [each.step("a")["unknown"] for each in orders] == [False, False]

    settings.KALCIFER_RESTART_GRACE_S = 0.0
    sweeper.sweep()
    assert [each.row.runs_in for each in orders] == ["workers", "workers"]
    assert [each.step("a")["unknown"] for each in orders] == [True, True]


def test_after_a_restart_of_postgresql_no_execution_takes_a_saga_from_who_may_still_run_it(
    abandon: Abandon, tenant: Tenant, settings: Any
) -> None:
    abandon([step("a")], began("a"))
    engine = WorkflowEngine(tenant)
    engine.register_saga(Saga("order-1", steps=[step("a")]))
    settings.KALCIFER_RESTART_GRACE_S = 1e9

    with pytest.raises(errors.SagaRunning):
        engine.execute_saga_sync("order-1")

    settings.KALCIFER_RESTART_GRACE_S = 0.0
    assert engine.execute_saga_sync("order-1") == ["did a"]
