"""Acts on many, and on parked side effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from engine import bells, errors, jobs, operations, repairs, triggers
from engine.models import Activity, Job, JobTarget
from engine.nodes import registry
from flows import queries
from flows.errors import IllegalTransition
from flows.models import Flow, FlowInstance
from tenants.models import Tenant
from tests.engine.conftest import NOON
from tests.engine.operating import Effect, assert_sound, in_parallel, waiting, with_effect
from tests.support.passage import Passage, run_until_idle


@pytest.fixture(autouse=True)
def nodes(own_registry: None) -> None:
    registry.register(Effect)


@pytest.fixture
def crowd(flow_of: Callable[..., Flow]) -> Flow:
    flow = flow_of(waiting())
    triggers.start_many(flow, [f"p{n}" for n in range(450)])
    run_until_idle()
    return flow


def request(flow: Flow, action: str, **filters: Any) -> Job:
    return jobs.request(
        flow.tenant, "instances", action, chosen=queries.instances(flow.tenant, flow=flow, **filters).whole
    )


def test_a_job_works_off_all_that_matched(crowd: Flow, rung: list[bells.Bell]) -> None:
    rung.clear()
    job = request(crowd, "cancel", statuses=["waiting"])
    assert (job.status, job.matched, rung) == ("queued", 450, [bells.Bell.JOBS])

    assert jobs.run_jobs(20.0) == 450

    job.refresh_from_db()
    assert (job.status, job.done, job.succeeded, job.refused) == ("completed", 450, 450, 0)
    assert FlowInstance.objects.filter(status="exited").count() == 450
    assert not JobTarget.objects.exists()
    assert not jobs.is_waiting()


def test_the_set_is_frozen_when_it_is_asked_for(crowd: Flow) -> None:
    job = request(crowd, "cancel")
    late = triggers.start(crowd, "late")

    jobs.run_jobs(20.0)

    late.refresh_from_db()
    assert late.status == "running"
    job.refresh_from_db()
    assert job.done == 450


def test_refusals_are_named(crowd: Flow) -> None:
    gone = FlowInstance.objects.first()
    operations.cancel(gone)
    job = request(crowd, "pause")

    jobs.run_jobs(20.0)

    job.refresh_from_db()
    assert (job.succeeded, job.refused) == (449, 1)
    assert [(each["id"], each["code"]) for each in job.errors] == [(str(gone.pk), "invalid_transition")]


def test_one_that_raises_does_not_stop_the_others(crowd: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = str(FlowInstance.objects.order_by("id")[7].pk)

    def verb(ids: list[str], **params: Any) -> list[operations.Verdict]:
        if bad in ids:
            raise ValueError("bad luck")
        return operations.cancel_many(ids, **params)

    monkeypatch.setitem(jobs.VERBS, ("instances", "cancel"), verb)
    job = request(crowd, "cancel")

    jobs.run_jobs(30.0)

    job.refresh_from_db()
    assert (job.status, job.succeeded, job.refused) == ("completed", 449, 1)
    assert job.errors[0]["detail"] == "ValueError: bad luck"


def test_nothing_matched_is_done_at_once(crowd: Flow) -> None:
    assert request(crowd, "cancel", statuses=["failed"]).status == "completed"


def test_a_cancelled_job_keeps_what_is_done(crowd: Flow) -> None:
    job = request(crowd, "cancel")
    jobs.run_some()

    cancelled = jobs.cancel(job)

    assert (cancelled.status, cancelled.done) == ("cancelled", 200)
    assert jobs.run_jobs(5.0) == 0
    assert FlowInstance.objects.filter(status="waiting").count() == 250
    with pytest.raises(IllegalTransition, match="cancelled"):
        jobs.cancel(job)


def test_a_batch_that_dies_leaves_the_job_as_it_was(crowd: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    job = request(crowd, "cancel")
    with monkeypatch.context() as dying:
        dying.setattr(jobs, "_note", die)
        with pytest.raises(Killed):
            jobs.run_some()

    assert FlowInstance.objects.filter(status="waiting").count() == 450
    jobs.run_jobs(20.0)
    job.refresh_from_db()
    assert job.succeeded == 450


def test_two_workers_share_the_jobs_and_do_each_target_once(crowd: Flow) -> None:
    first, second = request(crowd, "pause"), request(crowd, "pause")

    answers = in_parallel(lambda: jobs.run_jobs(20.0), lambda: jobs.run_jobs(20.0))
    jobs.run_jobs(20.0)

    assert not [each for each in answers if isinstance(each, Exception)]
    for job in (first, second):
        job.refresh_from_db()
    assert first.succeeded + second.succeeded == 450
    assert first.done + second.done == 900


# --- parked side effects ---


@pytest.fixture
def parked(passage: Callable[..., Passage]) -> tuple[Passage, Activity]:
    ada = passage(with_effect()).start()
    park()
    return ada, Activity.objects.get()


def park() -> None:
    Activity.objects.filter(status="pending").update(status="running", lease_until=NOON)
    trouble = {"code": "error", "detail": "refused"}
    Activity.objects.filter(status="running").update(status="parked", lease_until=None, attempts=5, error=trouble)


def test_retry_makes_it_due_and_goes_on_counting(parked: tuple[Passage, Activity], rung: list[bells.Bell]) -> None:
    ada, activity = parked
    rung.clear()

    repairs.retry_activity(activity)

    assert (activity.status, activity.attempts, activity.held, activity.error) == ("pending", 5, False, None)
    assert rung == [bells.Bell.ACTIVITIES]
    assert ada.status == "waiting"


def test_retry_for_a_paused_run_stays_held(parked: tuple[Passage, Activity]) -> None:
    ada, activity = parked
    operations.pause(ada.id)

    repairs.retry_activity(activity.pk)
    assert Activity.objects.get().held

    operations.resume(ada.id)
    assert not Activity.objects.get().held


def test_complete_lets_the_node_go_on_with_the_result(parked: tuple[Passage, Activity]) -> None:
    ada, activity = parked

    repairs.complete_activity(activity, {"ok": True}, actor="grace")
    run_until_idle()

    assert ada.status == "completed"
    assert ada.results["effect"] == {"ok": True}
    assert [each.metadata["actor"] for each in ada.events if each.type == "activity_completed"] == ["grace"]
    assert_sound(ada.id)


def test_fail_fails_the_node(parked: tuple[Passage, Activity]) -> None:
    ada, activity = parked

    repairs.fail_activity(activity, reason="no such account")
    run_until_idle()

    assert ada.instance.error == {"code": "failed_by_operator", "detail": "no such account", "node_id": "effect"}
    operations.retry(ada.id)
    run_until_idle()
    assert ada.status == "waiting"
    assert_sound(ada.id)


@pytest.mark.parametrize("verb", [repairs.retry_activity, repairs.complete_activity, repairs.fail_activity])
def test_only_parked_ones_can_be_repaired(parked: tuple[Passage, Activity], verb: Any) -> None:
    _, activity = parked
    repairs.complete_activity(activity)

    with pytest.raises(IllegalTransition, match="completed"):
        verb(activity)
    with pytest.raises(errors.UnknownActivity):
        verb("nobody")


def test_two_operators_at_once_decide_once(parked: tuple[Passage, Activity]) -> None:
    ada, activity = parked

    answers = in_parallel(lambda: repairs.complete_activity(activity.pk), lambda: repairs.fail_activity(activity.pk))

    assert sorted(type(each).__name__ for each in answers) == ["Activity", "IllegalTransition"]
    assert_sound(ada.id)


def test_a_repair_rolls_back_with_its_caller(parked: tuple[Passage, Activity]) -> None:
    _, activity = parked
    with transaction.atomic():
        repairs.complete_activity(activity.pk)
        transaction.set_rollback(True)

    activity.refresh_from_db()
    assert activity.status == "parked"


def test_many_repairs_by_a_job(flow_of: Callable[..., Flow], tenant: Tenant) -> None:
    flow = flow_of(with_effect())
    triggers.start_many(flow, [f"p{n}" for n in range(30)])
    run_until_idle()
    park()
    chosen = Activity.objects.for_tenant(tenant).filter(status="parked")
    job = jobs.request(tenant, "activities", "complete", chosen=chosen, params={"result": {"by": "hand"}})

    jobs.run_jobs(20.0)
    run_until_idle()

    job.refresh_from_db()
    assert job.succeeded == 30
    assert FlowInstance.objects.filter(status="completed").count() == 30
    assert connection.in_atomic_block is False
