"""Looking at sagas, cancelling and resuming them; operators who repair a parked compensation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from engine import errors, handing_back, repairs
from engine.models import Activity, SagaRun
from engine.sagas import controls, loop
from tenants.models import Tenant
from tests.engine.sagas import calls
from tests.engine.sagas.conftest import Followed, lease, make_due, record, step, work
from tests.support.soundness import assert_all_sound

Begin = Callable[..., Followed]


@pytest.fixture
def stuck(begin: Begin) -> Followed:
    """A saga whose second compensation nobody answers."""
    order = begin(
        step("a"),
        step("b", after=["a"], compensation=calls.sulk),
        step("c", calls.decline, after=["b"]),
    )
    calls.sulking.set()
    work()
    assert order.state == "FAILED"
    calls.sulking.clear()
    return order


def cancel(order: Followed) -> dict[str, object]:
    return controls.cancel_saga_sync(order.name, tenant=order.tenant, reason="changed her mind", actor="ada")


def resume(order: Followed) -> dict[str, object]:
    return controls.resume_saga_sync(order.name, tenant=order.tenant, actor="ada")


def test_a_saga_is_cancelled_before_anything_of_it_has_begun(begin: Begin) -> None:
    order = begin(step("a"), step("b"))

    assert cancel(order)["state"] == "COMPENSATED"

    assert order.row.ending["cause"] == "cancelled"
    assert order.status["error"]["detail"] == "changed her mind"
    work()
    assert calls.done == []


def test_what_was_done_before_the_cancellation_is_undone(begin: Begin) -> None:
    order = begin(step("a"), step("b", after=["a"]))
    loop.run(slice_s=1)
    (first,) = lease()
    assert cancel(order)["state"] == "RUNNING"

    record(first)

    work()
    assert calls.done == ["a", "not a"]
    assert order.state == "COMPENSATED"


def test_cancelling_twice_is_refused(begin: Begin) -> None:
    order = begin(step("a"))
    lease()
    cancel(order)

    with pytest.raises(errors.SagaEnding):
        cancel(order)


def test_a_saga_that_is_over_cannot_be_cancelled(begin: Begin) -> None:
    order = begin(step("a"))
    work()

    with pytest.raises(errors.SagaFinished):
        cancel(order)


def test_a_saga_that_is_not_there_or_anothers_is_unknown(begin: Begin, other_tenant: Tenant) -> None:
    begin(step("a"))

    for act in (controls.get_saga_status_sync, controls.cancel_saga_sync, controls.resume_saga_sync):
        with pytest.raises(errors.UnknownSaga):
            act("order-2", tenant=other_tenant)
        with pytest.raises(errors.UnknownSaga):
            act("order-1", tenant=other_tenant)


def test_a_cancellation_that_is_rolled_back_has_not_happened(begin: Begin) -> None:
    order = begin(step("a"))
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        cancel(order)
        raise ZeroDivisionError

    work()
    assert order.state == "COMPLETED"


def test_a_compensation_that_stays_failing_parks_the_saga_with_what_is_left(stuck: Followed) -> None:
    assert stuck.status["left"] == ["b", "a"]
    assert stuck.row.error["code"] == "compensation_failed"
    assert Activity.objects.get(kind="saga_compensation").status == "parked"
    assert_all_sound()


def test_a_resumed_saga_tries_again_what_failed_and_goes_on(stuck: Followed) -> None:
    assert resume(stuck)["state"] == "COMPENSATING"

    work()

    assert stuck.state == "COMPENSATED"
    assert calls.done[-2:] == ["not b", "not a"]
    assert {each.status for each in Activity.objects.filter(node_id="b")} == {"completed", "cancelled"}
    assert_all_sound()


def test_a_resumed_compensation_has_all_its_attempts_and_the_same_key(stuck: Followed) -> None:
    before = stuck.step("b")["compensation"]["attempts"]
    calls.sulking.set()
    resume(stuck)
    work()

    assert stuck.state == "FAILED"
    assert stuck.step("b")["compensation"]["attempts"] == 2 * before
    assert set(calls.keys) == {f"{stuck.row.id}:b:compensate"}


def test_only_a_stuck_saga_can_be_resumed(begin: Begin) -> None:
    order = begin(step("a"))

    with pytest.raises(errors.SagaNotStuck):
        resume(order)
    work()
    with pytest.raises(errors.SagaNotStuck):
        resume(order)


def test_a_stuck_saga_is_not_cancelled_but_resumed(stuck: Followed) -> None:
    with pytest.raises(errors.SagaEnding):
        cancel(stuck)


def test_an_operator_who_has_the_parked_compensation_done_again_moves_the_saga_on(stuck: Followed) -> None:
    parked = Activity.objects.get(status="parked")

    repairs.retry_activity(parked, actor="ada")
    assert stuck.state == "COMPENSATING"

    work()
    assert stuck.state == "COMPENSATED"
    assert_all_sound()


def test_an_operator_who_has_undone_it_by_hand_says_so(stuck: Followed) -> None:
    repairs.complete_activity(Activity.objects.get(status="parked"), {"by": "hand"}, actor="ada")

    work()

    assert stuck.state == "COMPENSATED"
    assert stuck.step("b")["compensation"]["result"] == {"by": "hand"}
    assert calls.done[-1] == "not a"


def test_an_operator_who_gives_a_compensation_up_leaves_the_saga_stuck_until_it_is_resumed(stuck: Followed) -> None:
    repairs.fail_activity(Activity.objects.get(status="parked"), actor="ada")
    assert stuck.state == "FAILED"

    resume(stuck)
    work()

    assert stuck.state == "COMPENSATED"


def test_after_the_pivot_a_resumed_saga_goes_forward(begin: Begin) -> None:
    order = begin(
        step("a"),
        step("p", after=["a"], pivot=True),
        step("z", calls.sulk, after=["p"]),
    )
    calls.sulking.set()
    work()
    assert (order.state, order.row.error["code"], order.status["left"]) == ("FAILED", "failed_after_pivot", ["z"])

    calls.sulking.clear()
    resume(order)
    work()

    assert order.state == "COMPLETED"
    assert order.status["error"] is None
    assert "not a" not in calls.done
    assert_all_sound()


def test_a_step_that_was_taken_back_is_begun_at_last_when_the_saga_goes_forward_again(begin: Begin) -> None:
    order = begin(step("p", pivot=True), step("y", calls.sulk, after=["p"]), step("z", after=["p"]))
    calls.sulking.set()
    record(*lease())
    first, second = sorted(lease(), key=lambda each: each.node_id)
    handing_back.hand_back([second])
    record(first)
    assert (order.state, order.status["left"]) == ("FAILED", ["y", "z"])
    assert order.step("z")["state"] == "skipped"

    calls.sulking.clear()
    resume(order)
    work()

    assert order.state == "COMPLETED"
    assert_all_sound()


def test_a_saga_whose_time_is_up_is_undone(begin: Begin) -> None:
    order = begin(step("a"), step("b", after=["a"]), timeout=3600)
    loop.run(slice_s=1)
    (first,) = lease()
    record(first)
    SagaRun.objects.update(deadline_at="2000-01-01T00:00:00Z")

    assert loop.is_waiting()
    work()

    assert order.row.ending["cause"] == "timeout"
    assert order.state == "COMPENSATED"
    assert calls.done == ["a", "not a"]
    assert not loop.is_waiting()
    assert make_due() == 0


@pytest.mark.parametrize("name", ["a\0b", "\ud800", 7])
def test_a_name_that_no_saga_can_have_is_unknown(tenant: Tenant, name: Any) -> None:
    for act in (controls.get_saga_status_sync, controls.cancel_saga_sync, controls.resume_saga_sync):
        with pytest.raises(errors.UnknownSaga):
            act(name, tenant=tenant)
