"""What resuming a flow does to its instances."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from engine import operations, timers, triggers, why
from engine.models import Activity, Timer
from engine.nodes import registry
from flows import lifecycle
from flows.lifecycle import Overdue
from flows.models import Flow, FlowInstance
from tests.engine.conftest import NOON, FakeClock
from tests.engine.operating import Effect, assert_sound, for_event, in_parallel, waiting, with_effect
from tests.support.passage import Passage, run_until_idle


@pytest.fixture(autouse=True)
def nodes(own_registry: None) -> None:
    registry.register(Effect)


@pytest.fixture
def three(flow_of: Callable[..., Flow], now: FakeClock) -> list[Passage]:
    """Three who wait for a day, an hour apart, and a flow that was paused for a week."""
    flow = flow_of(waiting("1d"))
    found = []
    for name in ("ada", "bob", "eve"):
        found.append(Passage(flow, name).start())
        now.advance(hours=1)
    lifecycle.pause(flow)
    now.advance(days=7)
    timers.wake_due()
    return found


def test_run_overdue_goes_on_at_once(three: list[Passage]) -> None:
    assert Timer.objects.filter(held=True).count() == 3

    lifecycle.resume(three[0].flow)
    timers.wake_due()
    run_until_idle()

    assert [each.status for each in three] == ["completed"] * 3
    assert_sound(three[0].id)


def test_run_overdue_spread_over_a_period(three: list[Passage], now: FakeClock) -> None:
    lifecycle.resume(three[0].flow, spread_over=timedelta(minutes=30))

    ahead = [Timer.objects.get(instance_id=each.id).due_at - now() for each in three]
    assert ahead == [timedelta(0), timedelta(minutes=10), timedelta(minutes=20)]
    now.advance(minutes=15)
    timers.wake_due()
    run_until_idle()
    assert [each.status for each in three] == ["completed", "completed", "waiting"]


def test_skip_overdue_ends_who_missed_it(three: list[Passage]) -> None:
    late = three[0].flow
    Timer.objects.filter(instance_id=three[2].id).update(due_at=NOON + timedelta(days=30), held=False)

    lifecycle.resume(late, overdue=Overdue.SKIP)

    assert [each.status for each in three] == ["exited", "exited", "waiting"]
    assert three[0].instance.exit_reason == "overdue_after_pause"
    assert_sound(three[0].id)


def test_shift_gives_everybody_the_time_that_was_left(three: list[Passage], now: FakeClock) -> None:
    lifecycle.resume(three[0].flow, overdue=Overdue.SHIFT)

    due = Timer.objects.get(instance_id=three[0].id).due_at
    assert due == NOON + timedelta(days=8)
    assert three[0].event_types[-1] == "wait_retimed"
    until = three[0].instance.current_nodes[0]["waiting_for"]["until"]
    assert datetime.fromisoformat(until) == due
    assert not Timer.objects.filter(held=True).exists()
    assert_sound(three[0].id)


def test_what_was_set_aside_runs_again(flow_of: Callable[..., Flow]) -> None:
    flow = flow_of(waiting())
    instance = triggers.start(flow, "ada")
    lifecycle.pause(flow)
    run_until_idle()
    instance.refresh_from_db()
    assert not instance.runnable

    lifecycle.resume(flow)
    run_until_idle()

    instance.refresh_from_db()
    assert instance.status == "waiting"
    assert why.stranded() == []


def test_activities_are_freed(passage: Callable[..., Passage]) -> None:
    ada = passage(with_effect()).start()
    lifecycle.pause(ada.flow)
    Activity.objects.update(held=True)

    lifecycle.resume(ada.flow)

    assert not Activity.objects.get().held


@pytest.mark.parametrize("overdue", list(Overdue))
def test_who_is_paused_alone_stays_paused(passage: Callable[..., Passage], now: FakeClock, overdue: Overdue) -> None:
    ada = passage(for_event()).start()
    operations.pause(ada.id)
    lifecycle.pause(ada.flow)
    now.advance(days=7)

    lifecycle.resume(ada.flow, overdue=overdue)

    assert (ada.status, Timer.objects.get().held) == ("paused", True)
    assert_sound(ada.id)
    operations.resume(ada.id)
    assert not Timer.objects.get().held


def test_archiving_lets_go_whom_the_pause_held(three: list[Passage]) -> None:
    lifecycle.archive(three[0].flow)
    timers.wake_due()
    run_until_idle()

    assert [each.status for each in three] == ["completed"] * 3


def test_resume_against_timers_and_cancels_strands_nobody(flow_of: Callable[..., Flow], now: FakeClock) -> None:
    flow = flow_of(waiting("1d"))
    ids = [str(each.instance_id) for each in triggers.start_many(flow, [f"p{n}" for n in range(100)])]
    run_until_idle()
    lifecycle.pause(flow)
    now.advance(days=2)

    answers: list[Any] = in_parallel(
        lambda: timers.wake_due(slice_s=3),
        lambda: lifecycle.resume(Flow.objects.get(pk=flow.pk)),
        lambda: operations.cancel_many(reversed(ids[:50])),
        lambda: timers.wake_due(slice_s=3),
    )
    timers.wake_due()
    run_until_idle()

    assert not [each for each in answers if isinstance(each, Exception)]
    assert why.stranded() == []
    assert not FlowInstance.objects.filter(status__in=("running", "waiting")).exists()
