"""Sagas on workers: an activity for each step, and the way back when one fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine import handing_back
from engine.models import Activity, SagaRun
from engine.sagas import controls, loop
from engine.sagas.builder import Retry
from tenants.models import Tenant
from tests.engine.sagas import calls
from tests.engine.sagas.conftest import Followed, expire_leases, lease, record, step, work
from tests.support.soundness import assert_all_sound

Begin = Callable[..., Followed]


def test_steps_that_wait_for_nobody_begin_at_once_and_results_are_kept(begin: Begin) -> None:
    order = begin(step("a"), step("b", calls.note_async))

    assert order.events == ["saga_created", "saga_started", "step_started", "step_started"]
    work()

    assert order.state == "COMPLETED"
    assert order.status["results"] == {"a": "did a", "b": "did b"}
    assert sorted(order.status["steps_completed"]) == ["a", "b"]
    assert order.events[-1] == "saga_completed"


def test_a_step_begins_when_those_it_comes_after_are_completed(begin: Begin) -> None:
    order = begin(step("d", after=["b", "c"]), step("a"), step("b", after=["a"]), step("c", after=["a"]))

    work()

    assert order.status["steps_completed"][0] == "a"
    assert order.status["steps_completed"][-1] == "d"
    assert Activity.objects.get(node_id="d").input["results"] == {"a": "did a", "b": "did b", "c": "did c"}


def test_when_a_step_fails_what_was_completed_is_undone_in_reverse_order(begin: Begin) -> None:
    order = begin(step("a"), step("b", after=["a"]), step("c", calls.decline, after=["b"]), step("d", after=["c"]))

    work()

    assert order.state == "COMPENSATED"
    assert calls.done == ["a", "b", "not b", "not a"]
    assert [each["state"] for each in order.row.steps] == ["completed", "completed", "failed", "skipped"]
    assert order.row.ending["cause"] == "failure"
    assert order.status["error"] == {"code": "CardDeclined", "detail": "no funds"}


def test_the_error_of_a_step_that_fails_for_good_ends_the_others_that_have_not_begun(begin: Begin) -> None:
    order = begin(step("a", calls.decline), step("b"), step("c"))
    first, *others = sorted(lease(3), key=lambda each: each.node_id)
    handing_back.hand_back(others)

    record(first)

    assert order.state == "COMPENSATED"
    assert calls.done == []
    assert [each["state"] for each in order.row.steps] == ["failed", "skipped", "skipped"]
    assert set(Activity.objects.values_list("status", flat=True)) == {"failed", "cancelled"}


def test_a_step_that_runs_is_awaited_and_what_it_did_is_undone(begin: Begin) -> None:
    order = begin(step("a", calls.decline), step("b"))
    first, second = sorted(lease(2), key=lambda each: each.node_id)

    record(first)
    assert (order.state, order.row.ending["step"]) == ("RUNNING", "a")
    assert "compensation_started" not in order.events

    record(second)
    assert order.state == "COMPENSATING"
    work()
    assert calls.done == ["b", "not b"]
    assert order.state == "COMPENSATED"


def test_what_is_handed_back_while_its_saga_ends_is_never_begun(begin: Begin) -> None:
    order = begin(step("a", calls.decline), step("b"))
    first, second = sorted(lease(2), key=lambda each: each.node_id)
    record(first)

    handing_back.hand_back([second])

    assert order.state == "COMPENSATED"
    assert order.step("b")["state"] == "skipped"
    assert Activity.objects.get(node_id="b").status == "cancelled"


def test_a_step_that_fails_again_while_its_saga_ends_is_not_tried_again(begin: Begin) -> None:
    order = begin(step("a", calls.decline), step("b", calls.decline, retry=Retry(attempts=9)))
    first, second = sorted(lease(2), key=lambda each: each.node_id)
    record(first)

    record(second)

    assert order.state == "COMPENSATED"
    assert order.step("b")["attempts"] == 1
    assert Activity.objects.get(node_id="b").status == "cancelled"


def test_an_outcome_that_comes_after_its_lease_ran_out_is_refused(begin: Begin) -> None:
    order = begin(step("a"), step("b", calls.decline))
    late, failing = sorted(lease(2), key=lambda each: each.node_id)
    record(failing)
    expire_leases()
    assert order.step("a")["state"] == "unknown"
    assert order.state == "COMPENSATING"

    record(late)

    assert order.step("a")["state"] == "unknown"
    work()
    assert calls.done == ["a", "not a"]
    assert order.state == "COMPENSATED"


def test_a_step_whose_worker_died_is_called_again_with_the_same_key(begin: Begin, tmp_path: Path) -> None:
    order = begin(step("a", calls.tell, compensation=None, args=[str(tmp_path), "a"]))
    lease()
    expire_leases()

    work()

    assert order.state == "COMPLETED"
    assert (tmp_path / "log").read_text() == f"a {order.row.id}:a 2\n"
    assert order.events[3:5] == ["step_failed", "step_completed"]


def test_a_step_is_tried_as_often_as_it_may_and_every_attempt_is_in_the_log(begin: Begin) -> None:
    order = begin(step("a", calls.decline, retry=Retry(attempts=3, backoff_s=0.01)))

    work()

    failed = [each.data for each in order.stored if each.type == "step_failed"]
    assert [(each["attempt"], each["final"]) for each in failed] == [(1, False), (2, False), (3, True)]
    assert order.state == "COMPENSATED"


def test_an_error_that_is_named_as_final_is_not_tried_again(begin: Begin) -> None:
    order = begin(step("a", calls.decline, retry=Retry(attempts=3, non_retryable=[Exception])))

    work()

    assert order.step("a")["attempts"] == 1


def test_an_asynchronous_step_is_stopped_at_its_time_limit_and_undone_as_nobody_knows(begin: Begin) -> None:
    order = begin(step("a", calls.linger, timeout=0.05))

    work()

    assert order.step("a")["state"] == "unknown"
    assert order.step("a")["error"]["code"] == "timeout"
    assert calls.done == ["not a"]


def test_a_result_that_is_no_json_fails_its_step_clearly_and_is_undone(begin: Begin) -> None:
    order = begin(step("a", calls.not_json))

    work()

    assert order.step("a")["error"]["code"] == "invalid_result"
    assert calls.done == ["not a"]
    assert order.state == "COMPENSATED"


def test_calls_know_their_saga_their_step_and_the_results_so_far(begin: Begin, tmp_path: Path) -> None:
    order = begin(
        step("a", calls.tell, compensation=calls.tell, args=[str(tmp_path), "x"]),
        step("b", calls.decline, after=["a"]),
    )

    work()

    assert order.step("a")["result"] == {"saga": "order-1", "step": "a", "results": {}, "result": None}
    undone = order.step("a")["compensation"]["result"]
    assert undone == {
        "saga": "order-1",
        "step": "a",
        "results": {"a": order.step("a")["result"]},
        "result": order.step("a")["result"],
    }
    assert (tmp_path / "log").read_text() == f"x {order.row.id}:a 1\nx {order.row.id}:a:compensate 1\n"


def test_two_tenants_may_use_the_same_id(begin: Begin, other_tenant: Tenant) -> None:
    one, other = begin(step("a")), begin(step("a", calls.decline), of=other_tenant)

    work()

    assert (one.state, other.state) == ("COMPLETED", "COMPENSATED")


def test_a_saga_whose_processing_raises_fails_alone(begin: Begin) -> None:
    broken, sound = begin(step("a"), step("b", after=["a"])), begin(step("a"), name="order-2")
    SagaRun.objects.filter(name="order-1").update(plan=[])

    work()

    assert sound.state == "COMPLETED"
    assert broken.state == "FAILED"
    assert broken.row.error["code"] == "error"


def test_every_event_says_which_saga_it_is_of(begin: Begin) -> None:
    order = begin(step("a"))
    work()

    assert {each.metadata["saga_id"] for each in order.stored} == {"order-1"}
    assert {each.metadata["correlation_id"] for each in order.stored} == {str(order.row.id)}
    assert [each.sequence for each in order.stored] == list(range(1, len(order.stored) + 1))


def test_rows_are_what_the_events_say(begin: Begin) -> None:
    for number, action in enumerate((calls.note, calls.decline, calls.not_json)):
        begin(step("a"), step("b", action, after=["a"]), name=f"order-{number}")
    work()

    assert_all_sound()


def make_unstorable(name: str) -> None:
    """Have whatever the saga does next be longer than its column."""
    run = SagaRun.objects.get(name=name)
    for each in run.plan:
        each["action"] = each["compensation"] = f"tests.engine.sagas.calls:{'x' * 300}"
    SagaRun.objects.filter(pk=run.pk).update(plan=run.plan)


def test_a_saga_whose_next_step_cannot_be_stored_fails_alone(begin: Begin) -> None:
    orders = [begin(step("a"), step("b", after=["a"]), name=f"order-{number}") for number in range(5)]
    make_unstorable("order-3")

    work()

    assert [each.state for each in orders] == ["COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "COMPLETED"]
    assert orders[3].row.error["code"] == "error"
    assert "could not be stored" in orders[3].row.error["detail"]


def test_a_saga_that_got_stuck_while_it_was_recorded_takes_up_at_its_resumption_what_was_done(begin: Begin) -> None:
    order = begin(step("a"), step("b", after=["a"]))
    plan = order.row.plan
    make_unstorable("order-1")
    work()
    assert (order.state, order.step("a")["state"]) == ("FAILED", "running")
    SagaRun.objects.update(plan=plan)

    controls.resume_saga_sync("order-1", tenant=order.tenant)
    work()

    assert order.state == "COMPLETED"
    assert calls.done == ["a", "b"]
    assert_all_sound()


def test_a_roll_back_that_the_loop_cannot_store_fails_alone(begin: Begin) -> None:
    lasting = step("z", after=["a"])
    orders = [begin(step("a"), lasting, name=f"order-{number}", timeout=3600) for number in range(3)]
    record(*lease())
    held = lease()
    make_unstorable("order-1")
    SagaRun.objects.update(deadline_at="2000-01-01T00:00:00Z")
    Activity.objects.filter(id__in=[each.id for each in held]).update(status="pending", lease_until=None)

    loop.run(slice_s=5)
    work()

    assert [each.state for each in orders] == ["COMPENSATED", "FAILED", "COMPENSATED"]
    assert orders[1].status["left"] == ["a"]
