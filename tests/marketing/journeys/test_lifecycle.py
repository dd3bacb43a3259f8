"""A journey and its flow move together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from flows import lifecycle as flows
from flows import versions
from flows.errors import FlowArchived, FlowInUse, IllegalTransition, InvalidGraph, NoVersion
from flows.lifecycle import Overdue
from flows.models import Flow
from marketing import journeys
from marketing.errors import JourneyArchived, JourneyNotDraft
from marketing.models import Journey
from tenants.models import Tenant
from tests.engine.conftest import FakeClock
from tests.marketing.journeys.conftest import BY_EVENT
from tests.support.graphs import chain
from tests.support.passage import run_until_idle

GOAL = {"name": "bought", "event_type": "ordered", "window": "7d"}


def stored(journey: Journey) -> tuple[str, str]:
    """The statuses of a journey and its flow."""
    found = Journey.objects.select_related("flow").get(pk=journey.pk)
    return found.status, found.flow.status


def test_journey_and_flow_go_through_life_together(journey: Callable[..., Journey]) -> None:
    made = journey()
    assert stored(made) == ("draft", "draft")
    assert journeys.launch(made, by="ada").journey.launched_at is not None
    assert stored(made) == ("active", "active")
    journeys.pause(made)
    assert stored(made) == ("paused", "paused")
    journeys.resume(made)
    assert stored(made) == ("active", "active")
    journeys.archive(made)
    assert stored(made) == ("archived", "archived")
    assert made.status == "archived"


VERBS: dict[str, Callable[[Journey], Any]] = {
    "launch": journeys.launch,
    "pause": journeys.pause,
    "resume": journeys.resume,
    "archive": journeys.archive,
}
ALLOWED: dict[str, set[str]] = {
    "draft": {"launch"},
    "active": {"pause", "archive"},
    "paused": {"resume", "archive"},
    "archived": set(),
}
WAY = {"draft": (), "active": ("launch",), "paused": ("launch", "pause"), "archived": ("launch", "archive")}


def test_every_other_move_is_refused_with_both_states_and_changes_nothing(journey: Callable[..., Journey]) -> None:
    for status, way in WAY.items():
        made = journey()
        for verb in way:
            VERBS[verb](made)
        before = stored(made)

        for name in VERBS.keys() - ALLOWED[status]:
            with pytest.raises(IllegalTransition, match=f"A journey that is {status} cannot become"):
                VERBS[name](made)
        assert stored(made) == before


def test_a_launch_publishes_the_newest_draft_also_over_a_flow_that_is_active(
    journey: Callable[..., Journey], flow_of: Callable[..., Flow]
) -> None:
    flow = flow_of(BY_EVENT)
    versions.create_draft(flow, chain(1))

    journeys.launch(journey(flow=flow), by="user:ada")

    flow.refresh_from_db()
    assert (flow.active_version.number, flow.active_version.published_by) == (2, "user:ada")


def test_a_launch_that_cannot_be_changes_nothing(tenant: Tenant, journey: Callable[..., Journey]) -> None:
    broken = journey({"nodes": [{"id": "in", "type": "event_entry", "config": {}}], "edges": []}, goal=GOAL)
    with pytest.raises(InvalidGraph) as refused:
        journeys.launch(broken)
    assert [problem.attr for problem in refused.value.problems] == ["graph.nodes.0.config.event_type"]
    assert stored(broken) == ("draft", "draft")
    assert "goal" not in broken.flow.versions.get().graph.get("settings", {})

    with pytest.raises(NoVersion):
        journeys.launch(journey(flow=flows.create(tenant, "empty")))

    late = journey()
    flows.activate(late.flow)
    flows.archive(late.flow)
    with pytest.raises(FlowArchived):
        journeys.launch(late)
    with pytest.raises(FlowArchived):
        journey(flow=late.flow)


def test_the_verbs_belong_to_their_callers_transaction(journey: Callable[..., Journey]) -> None:
    made = journey()

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        journeys.launch(made)
        raise ZeroDivisionError

    assert stored(made) == ("draft", "draft")


def test_asynchronous_callers_have_twins(journey: Callable[..., Journey]) -> None:
    made = journey()

    launch = async_to_sync(journeys.alaunch)(made)
    async_to_sync(journeys.apause)(launch.journey)

    assert stored(made) == ("paused", "paused")


def test_what_is_done_to_the_flow_is_done_to_its_launched_journeys(journey: Callable[..., Journey]) -> None:
    first = journey()
    second, draft = journey(flow=first.flow), journey(flow=first.flow)
    journeys.launch(first)
    journeys.launch(second)

    flows.pause(first.flow)
    assert [stored(each)[0] for each in (first, second, draft)] == ["paused", "paused", "draft"]
    journeys.resume(second)
    assert [stored(each) for each in (first, second)] == [("active", "active")] * 2
    journeys.archive(first)
    assert [stored(each) for each in (first, second)] == [("archived", "active"), ("active", "active")]
    flows.archive(second.flow)
    assert stored(second) == ("archived", "archived")


def test_resuming_chooses_what_becomes_of_overdue_waits(journey: Callable[..., Journey], now: FakeClock) -> None:
    made = journey()
    journeys.launch(made)
    run = Flow.objects.get(pk=made.flow_id).start("ada")
    run_until_idle()
    journeys.pause(made)
    now.advance(days=5)

    journeys.resume(made, overdue=Overdue.SKIP, spread_over=timedelta(0))

    run.refresh_from_db()
    assert (run.status, run.exit_reason) == ("exited", "overdue_after_pause")


def test_a_flow_with_journeys_cannot_be_deleted_and_a_launched_journey_neither(journey: Callable[..., Journey]) -> None:
    made = journey()
    with pytest.raises(FlowInUse):
        flows.delete(made.flow)

    journeys.delete(made)
    flows.delete(made.flow)

    launched = journey()
    journeys.launch(launched)
    with pytest.raises(JourneyNotDraft):
        journeys.delete(launched)


def goals_of(made: Journey) -> list[Any]:
    return [each.graph["settings"].get("goal") for each in made.flow.versions.order_by("number")]


def test_the_goal_of_a_draft_is_written_into_the_graph_by_the_launch(journey: Callable[..., Journey]) -> None:
    made = journey(goal={"event_type": "ordered", "window": "7d"})
    assert goals_of(made) == [None]

    journeys.launch(made)

    assert goals_of(made) == [{"name": "ordered", "event_type": "ordered", "window": "7d"}]
    assert Journey.objects.get(pk=made.pk).goal is None


def test_a_new_goal_of_a_launched_journey_is_a_new_version(
    journey: Callable[..., Journey], flow_of: Callable[..., Flow]
) -> None:
    made = journey(flow=flow_of(BY_EVENT), goal=GOAL)
    journeys.launch(made)
    assert goals_of(made) == [None, GOAL]

    journeys.change(made, goal=GOAL)
    journeys.change(made, goal={"name": "stayed"}, by="user:ada")
    journeys.change(made, goal=None)

    assert goals_of(made) == [None, GOAL, {"name": "stayed"}, None]
    assert Flow.objects.get(pk=made.flow_id).active_version.number == 4


def test_an_archived_journey_stays_as_it_is(journey: Callable[..., Journey]) -> None:
    made = journey()
    journeys.launch(made)
    journeys.archive(made)

    with pytest.raises(JourneyArchived):
        journeys.change(made, name="other")
