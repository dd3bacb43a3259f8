"""What operators do to instances."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from engine import bells, errors, inbox, operations, triggers
from engine.execution import loop
from engine.models import Activity, EventSubscription, Timer
from flows import lifecycle
from flows.errors import IllegalTransition
from flows.models import ExecutionStep, Flow, FlowInstance
from tests.engine.conftest import NOON, FakeClock
from tests.engine.operating import (
    BROKEN,
    TROUBLE,
    append,
    assert_sound,
    beside_effect,
    breaking,
    breaking_beside_waits,
    for_event,
    fragile,
    in_parallel,
    waiting,
    wake,
    with_effect,
)
from tests.support.passage import Passage, run_until_idle

__all__ = ["fragile"]


def test_cancel_ends_a_waiting_instance_and_all_that_waits_for_it(passage: Callable[..., Passage]) -> None:
    ada = passage(for_event()).start()

    cancelled = operations.cancel(ada.id, reason="asked by phone", actor="grace")

    assert (cancelled.status, cancelled.exit_reason) == ("exited", "cancelled_by_operator")
    assert ada.events[-1].data == {"reason": "cancelled_by_operator", "detail": "asked by phone", "node": None}
    assert ada.events[-1].metadata["actor"] == "grace"
    assert not Timer.objects.exists()
    assert not EventSubscription.objects.exists()
    assert [step.status for step in ada.steps] == ["completed", "cancelled"]
    assert_sound(ada.id)


@pytest.mark.parametrize("verb", [operations.cancel, operations.pause, operations.resume, operations.retry])
def test_an_ended_instance_refuses_every_verb_and_says_what_it_is(passage: Callable[..., Passage], verb: Any) -> None:
    ada = passage(waiting()).start()
    operations.cancel(ada.instance)
    before = ada.event_types

    with pytest.raises(IllegalTransition, match="exited"):
        verb(ada.instance)

    assert ada.event_types == before


def test_a_failed_instance_cannot_be_cancelled(passage: Callable[..., Passage]) -> None:
    ada = passage(breaking()).start()

    with pytest.raises(IllegalTransition, match="failed"):
        operations.cancel(ada.id)


@pytest.mark.parametrize("missing", ["0190a000-0000-7000-8000-000000000000", "no id"])
def test_an_instance_that_is_not_there(db: None, missing: str) -> None:
    with pytest.raises(errors.UnknownInstance):
        operations.cancel(missing)


def test_the_callers_copy_tells_what_became_of_it(passage: Callable[..., Passage]) -> None:
    copy = passage(waiting()).start().instance

    assert operations.pause(copy) is copy
    assert copy.status == "paused"


def test_a_verb_rolls_back_with_its_caller(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()

    with transaction.atomic():
        operations.cancel(ada.id)
        transaction.set_rollback(True)

    assert ada.status == "waiting"
    assert Timer.objects.count() == 1
    assert ada.event_types[-1] == "wait_started"


def test_a_refused_verb_leaves_its_callers_transaction_usable(passage: Callable[..., Passage]) -> None:
    ada = passage(breaking()).start()
    bob = Passage(ada.flow, "ada").start()
    BROKEN["is"] = False
    operations.retry(bob.id)

    with transaction.atomic():
        with pytest.raises(errors.AlreadyInFlow):
            operations.retry(ada.id)
        assert ada.status == "failed"


# --- pause and resume ---


def test_pause_holds_timers_and_resume_frees_them(passage: Callable[..., Passage], now: FakeClock) -> None:
    ada = passage(waiting()).start()

    operations.pause(ada.id, reason="holiday")

    assert ada.status == "paused"
    assert ada.waiting_at == ["pause"]
    assert Timer.objects.get().held
    assert_sound(ada.id)

    now.advance(days=1)
    operations.resume(ada.id)

    assert ada.status == "waiting"
    assert not Timer.objects.get().held
    assert Timer.objects.get().due_at == NOON + timedelta(days=3)
    assert ada.event_types[-2:] == ["paused", "resumed"]


def test_a_wait_resolved_during_the_pause_executes_after_it(passage: Callable[..., Passage], rung: list[Any]) -> None:
    ada = passage(waiting()).start()
    operations.pause(ada.id)
    wake(ada, "pause")
    run_until_idle()
    assert (ada.status, ada.path) == ("paused", ["entry"])

    rung.clear()
    resumed = operations.resume(ada.id)

    assert (resumed.status, resumed.runnable) == ("running", True)
    assert rung == [bells.Bell.ADVANCE]
    run_until_idle()
    assert ada.status == "completed"
    assert_sound(ada.id)


def test_pause_keeps_a_running_instance_from_going_on(flow_of: Callable[..., Flow]) -> None:
    instance = triggers.start(flow_of(waiting()), "ada")

    operations.pause(instance)
    run_until_idle()

    assert (instance.status, instance.runnable) == ("paused", False)
    operations.resume(instance)
    run_until_idle()
    instance.refresh_from_db()
    assert instance.status == "waiting"


def test_pending_activities_are_held_for_the_length_of_the_pause(passage: Callable[..., Passage]) -> None:
    ada = passage(with_effect()).start()

    operations.pause(ada.id)
    assert Activity.objects.get().held
    operations.resume(ada.id)
    assert not Activity.objects.get().held


@pytest.mark.parametrize("ending", ["paused", "failed"])
def test_an_attempt_that_fails_during_the_pause_is_not_repeated_in_it(
    passage: Callable[..., Passage], ending: str
) -> None:
    ada = passage(beside_effect()).start()
    Activity.objects.update(status="running", lease_until=NOON)
    if ending == "paused":
        operations.pause(ada.id)
    else:
        wake(ada, "first")
        run_until_idle()
    assert ada.status == ending

    Activity.objects.update(status="pending", lease_until=None)

    assert Activity.objects.get().held


def test_two_resumes_at_once_are_one(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    operations.pause(ada.id)

    answers = in_parallel(lambda: operations.resume(ada.id), lambda: operations.resume(ada.id))

    assert sorted(type(each).__name__ for each in answers) == ["FlowInstance", "IllegalTransition"]
    assert ada.event_types.count("resumed") == 1


# --- retry ---


def test_retry_goes_on_at_the_failed_node(passage: Callable[..., Passage]) -> None:
    ada = passage(breaking()).start()
    assert ada.status == "failed"

    BROKEN["is"] = False
    retried = operations.retry(ada.id)

    assert (retried.status, retried.error) == ("running", None)
    assert {"node": "fragile", "type": "fragile", "step": 2, "attempt": 2}.items() <= ada.events[-1].data.items()
    run_until_idle()
    assert ada.status == "completed"
    assert [(step.node_id, step.status, step.attempt) for step in ada.steps] == [
        ("entry", "completed", 1),
        ("fragile", "failed", 1),
        ("fragile", "completed", 2),
        ("done", "completed", 1),
    ]
    assert_sound(ada.id)


def test_a_retried_node_knows_when_the_one_before_it_began(passage: Callable[..., Passage]) -> None:
    ada = passage(breaking()).start()

    operations.retry(ada.id)

    assert datetime.fromisoformat(ada.instance.current_nodes[0]["after"]) == NOON


def test_a_node_that_still_fails_fails_the_instance_again(passage: Callable[..., Passage]) -> None:
    ada = passage(breaking()).start()

    operations.retry(ada.id)
    run_until_idle()

    assert ada.status == "failed"
    assert [step.attempt for step in ada.steps if step.node_id == "fragile"] == [1, 2]


def test_other_tokens_thaw_timed_from_when_each_wait_began(passage: Callable[..., Passage], now: FakeClock) -> None:
    ada = passage(breaking_beside_waits()).start()
    now.advance(days=1)
    wake(ada, "first")
    run_until_idle()
    assert ada.status == "failed"
    assert not Timer.objects.exists()
    assert not EventSubscription.objects.exists()

    BROKEN["is"] = False
    now.advance(hours=6)
    operations.retry(ada.id)

    assert Timer.objects.get(node_id="pause").due_at == NOON + timedelta(days=3)
    assert EventSubscription.objects.get().event_type == "clicked"
    assert_sound(ada.id)


def test_an_event_that_came_while_frozen_counts(passage: Callable[..., Passage], now: FakeClock) -> None:
    ada = passage(breaking_beside_waits()).start()
    now.advance(days=1)
    wake(ada, "first")
    run_until_idle()
    inbox.publish_event("ada", "clicked", tenant=ada.flow.tenant)

    BROKEN["is"] = False
    operations.retry(ada.id)

    assert not EventSubscription.objects.exists()
    assert ada.events[-1].data["matched_from"] == "retry"
    run_until_idle()
    assert "ear" in ada.path
    assert_sound(ada.id)


def test_an_instance_that_raised_goes_on_with_the_token_it_had(
    passage: Callable[..., Passage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any) -> None:
        raise RuntimeError("boom")

    with monkeypatch.context() as broken:
        broken.setattr("engine.execution.executor.Executor.drive", explode)
        ada = passage(waiting()).start()
    assert ada.status == "failed"

    operations.retry(ada.id)
    run_until_idle()

    assert ada.status == "waiting"
    assert_sound(ada.id)


def test_retry_is_refused_while_another_run_is_live(passage: Callable[..., Passage]) -> None:
    ada = passage(breaking()).start()
    again = triggers.start(ada.flow, "ada")

    with pytest.raises(errors.AlreadyInFlow) as refused:
        operations.retry(ada.id)

    assert refused.value.extra == {"instance_id": str(again.pk)}
    assert ada.status == "failed"
    assert "retried" not in ada.event_types


def test_one_refused_of_many_does_not_stop_the_others(passage: Callable[..., Passage]) -> None:
    ada = passage(breaking()).start()
    bob = Passage(ada.flow, "bob").start()
    triggers.start(ada.flow, "ada")

    verdicts = operations.retry_many([str(ada.id), str(bob.id)])

    assert [each.refusal and each.refusal.code for each in verdicts] == ["already_in_flow", None]
    assert (ada.status, bob.status) == ("failed", "running")


def test_many_are_told_apart(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    bob = Passage(ada.flow, "bob").start()
    operations.cancel(bob.id)
    nobody = "0190a000-0000-7000-8000-000000000000"

    verdicts = operations.pause_many([nobody, str(bob.id), str(ada.id)])

    assert [each.refusal and each.refusal.code for each in verdicts] == ["not_found", "invalid_transition", None]


def test_a_failed_side_effect_is_tried_again_under_the_same_key(passage: Callable[..., Passage]) -> None:
    ada = passage(with_effect()).start()
    first = Activity.objects.get()
    append(ada, "activity_failed", {"node": "effect", "activity": str(first.pk), "error": TROUBLE, "final": True})
    Activity.objects.filter(pk=first.pk).update(status="running", lease_until=NOON)
    Activity.objects.filter(pk=first.pk).update(status="failed", lease_until=None)
    run_until_idle()
    assert ada.status == "failed"

    operations.retry(ada.id)
    run_until_idle()

    assert ada.status == "waiting"
    again = Activity.objects.get(status="pending")
    assert again.idempotency_key == first.idempotency_key == f"{ada.id}:effect:1"


def test_a_side_effect_that_succeeded_is_never_issued_again(passage: Callable[..., Passage]) -> None:
    ada = passage(with_effect()).start()
    activity = str(Activity.objects.get().pk)
    outcome = {"result": {"ok": True}, "branch": "nowhere"}
    append(ada, "activity_completed", {"node": "effect", "activity": activity, "attempt": 1, "outcome": outcome})
    run_until_idle()
    assert ada.instance.error["code"] == "no_edge"

    operations.retry(ada.id)
    run_until_idle()

    assert ada.instance.error["code"] == "no_edge"
    assert Activity.objects.count() == 1
    assert_sound(ada.id)


# --- at the same moment ---


def test_retry_against_a_new_start_leaves_one_live(passage: Callable[..., Passage]) -> None:
    ada = passage(breaking()).start()

    in_parallel(lambda: operations.retry(ada.id), lambda: triggers.start(ada.flow, "ada"))

    live = FlowInstance.objects.filter(participant_id="ada", status__in=("running", "waiting"))
    assert live.count() == 1


def test_cancel_against_advance_keeps_rows_and_events_in_step(flow_of: Callable[..., Flow]) -> None:
    flow = flow_of(waiting())
    ids = [each.instance_id for each in triggers.start_many(flow, [f"p{n}" for n in range(200)])]
    halves = [[str(each) for each in ids[:100]], [str(each) for each in ids[100:]]]

    answers = in_parallel(
        lambda: loop.advance(slice_s=5),
        lambda: operations.cancel_many(halves[0]),
        lambda: operations.cancel_many(reversed(halves[1])),
        lambda: loop.advance(slice_s=5),
    )

    assert not [each for each in answers if isinstance(each, Exception)]
    assert FlowInstance.objects.filter(status="exited").count() == 200
    assert not Timer.objects.exists()
    assert not ExecutionStep.objects.filter(status__in=("running", "waiting")).exists()
    for each in ids[::20]:
        assert_sound(each)


def test_a_paused_flow_lets_its_instances_be_cancelled(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    lifecycle.pause(ada.flow)

    assert operations.cancel(ada.id).status == "exited"
