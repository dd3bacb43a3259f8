"""Whoever launches, pauses, enters or dies beside whom: each enters once, and journeys agree with their flows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from engine import event_router
from engine.models import Job
from flows import lifecycle as flows
from flows.errors import IllegalTransition
from flows.models import Flow, FlowInstance
from marketing import journeys
from marketing.journeys import intakes, launches
from marketing.models import Customer, Intake, Journey, Segment
from marketing.segments import due
from tests.engine.conftest import NOON, FakeClock
from tests.marketing.journeys.conftest import BY_SEGMENT, settle
from tests.marketing.journeys.test_intakes import AT_ONCE, become, entries
from tests.support.passage import run_until_idle
from tests.support.races import at_once, held_by_somebody
from tests.support.soundness import assert_all_sound


def test_members_enter_once_whatever_happens_beside_the_launch(
    pros: Callable[..., Segment],
    journey: Callable[..., Journey],
    customer: Callable[..., Customer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intakes, "BATCH", 7)
    pros(40)
    late = [customer(f"late{n:02}", properties={"plan": "free"}) for n in range(30)]
    made = journey(AT_ONCE)

    def join() -> None:
        for each in late:
            become(each, "pro")
            due.run(0.01)

    def launch() -> None:
        journeys.launch(made, include_existing=True)
        let_in()

    def let_in() -> None:
        for _ in range(30):
            intakes.run(0.05)
            run_until_idle()

    def route() -> None:
        for _ in range(60):
            event_router.route(slice_s=0.05)

    at_once([join, launch, let_in, route])
    settle()

    assert entries() == {f"c{n:03}": 1 for n in range(40)} | {each.external_id: 1 for each in late}
    job = Job.objects.get()
    assert (job.status, job.done, job.refused) == ("completed", job.succeeded, 0)
    assert_all_sound()


def test_of_two_launches_one_is_refused(pros: Callable[..., Segment], journey: Callable[..., Journey]) -> None:
    pros(2)
    made = journey(BY_SEGMENT)

    def launch() -> Any:
        try:
            return journeys.launch(Journey.objects.get(pk=made.pk), include_existing=True).journey.status
        except IllegalTransition as error:
            return error.current

    assert at_once([launch] * 3) == ["active"] * 3
    assert Intake.objects.count() == 1
    settle()
    assert entries() == {"c000": 1, "c001": 1}


def test_two_workers_launch_what_is_due_once(journey: Callable[..., Journey], now: FakeClock) -> None:
    for n in range(4):
        journey(name=f"j{n}", schedule={"launch_at": NOON.replace(hour=13)})
    now.advance(hours=1)

    at_once([lambda: launches.run(20.0)] * 3)

    assert set(Journey.objects.values_list("status", "launch_at", "launch_error")) == {("active", None, None)}
    assert set(Flow.objects.values_list("status", "active_version__number")) == {("active", 1)}


def test_a_launch_that_finds_its_flow_held_is_made_later(journey: Callable[..., Journey], now: FakeClock) -> None:
    held, _ = (journey(name=name, schedule={"launch_at": NOON.replace(hour=13)}) for name in ("held", "free"))
    now.advance(hours=1)

    with held_by_somebody("SELECT 1 FROM flow_versions WHERE flow_id = %s FOR UPDATE", [held.flow_id]):
        launches.run(10.0)
    assert list(Journey.objects.order_by("name").values_list("name", "status", "launch_error")) == [
        ("free", "active", None), ("held", "draft", None)
    ]  # fmt: skip

    launches.run(10.0)
    assert Journey.objects.get(pk=held.pk).status == "active"


def test_journeys_agree_with_their_flow_whoever_switches_it(journey: Callable[..., Journey]) -> None:
    first = journey()
    second = journey(flow=first.flow)
    for each in (first, second):
        journeys.launch(each)

    def switch(seed: int) -> None:
        chance = Random(seed)
        for _ in range(25):
            made = Journey.objects.get(pk=chance.choice([first.pk, second.pk]))
            flow = Flow.objects.get(pk=first.flow_id)
            with suppress(IllegalTransition):
                match chance.randrange(5):
                    case 0:
                        journeys.pause(made)
                    case 1:
                        journeys.resume(made)
                    case 2:
                        flows.pause(flow)
                    case 3:
                        flows.resume(flow)
                    case _:
                        journeys.change(made, tags=["x"])

    at_once([lambda: switch(1), lambda: switch(2), lambda: switch(3)])

    status = Flow.objects.get(pk=first.flow_id).status
    assert set(Journey.objects.values_list("status", flat=True)) == {status}


def test_a_worker_that_dies_in_a_batch_leaves_all_as_it_was(
    pros: Callable[..., Segment], journey: Callable[..., Journey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intakes, "BATCH", 2)
    pros(4)
    journeys.launch(journey(BY_SEGMENT), include_existing=True)
    assert intakes.let_some_in()
    before = Intake.objects.values_list("after", flat=True).get()

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(intakes, "_note", lambda *_: exec("raise SystemExit"))
        intakes.let_some_in()
    assert (Intake.objects.values_list("after", flat=True).get(), FlowInstance.objects.count()) == (before, 2)
    settle()

    assert entries() == {f"c{n:03}": 1 for n in range(4)}


def test_a_flow_is_not_deleted_while_a_journey_is_being_made_over_it(journey: Callable[..., Journey]) -> None:
    kept = [journey() for _ in range(3)]
    for each in kept:
        journeys.delete(each)

    def over(flow: Flow) -> Callable[[], str]:
        def make() -> str:
            try:
                journey(flow=Flow.objects.get(pk=flow.pk))
            except Exception as error:  # noqa: BLE001  # which one is what is asked
                return type(error).__name__
            return "made"

        return make

    def delete(flow: Flow) -> Callable[[], str]:
        def act() -> str:
            try:
                flows.delete(Flow.objects.get(pk=flow.pk))
            except Exception as error:  # noqa: BLE001  # as above
                return type(error).__name__
            return "deleted"

        return act

    for each in kept:
        answers = at_once([over(each.flow), delete(each.flow)])
        assert answers in (["made", "FlowInUse"], ["NotFound", "deleted"], ["DoesNotExist", "deleted"])


def test_an_entry_by_hand_since_the_launch_counts(
    pros: Callable[..., Segment], journey: Callable[..., Journey]
) -> None:
    pros(2)
    made = journey(AT_ONCE, audience={"segment": "pros"})
    journeys.launch(made, include_existing=True)
    Flow.objects.get(pk=made.flow_id).start("c000")
    run_until_idle()

    settle()

    assert entries() == {"c000": 1, "c001": 1}
