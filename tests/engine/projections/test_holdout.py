"""Those who are kept out of a flow: the same people each time, watched for the goal, and compared with the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from engine import event_router, triggers
from engine.admin.statistics import show_statistics
from engine.analytics.flow_statistics import FlowStatistics
from engine.analytics.node_statistics import NodeStatistics
from engine.execution import holdout
from engine.inbox import publish_event
from engine.projections import registry
from flows.models import Flow, FlowInstance
from tenants.models import Tenant
from tests.engine.api.conftest import api, client_of
from tests.support.graphs import chain
from tests.support.passage import run_until_idle
from tests.support.raw_counts import assert_equal_to_the_log, catch_up

__all__ = ["api", "client_of"]

GOAL = {"name": "bought", "event_type": "order_completed"}


@pytest.fixture(autouse=True)
def statistics(own_projections: None) -> None:
    registry.register(FlowStatistics)
    registry.register(NodeStatistics)


def test_the_holdout_is_the_share_that_was_asked_for_and_the_same_people_each_time() -> None:
    people = [f"p{place}" for place in range(10_000)]

    kept = {who for who in people if holdout.is_in("flow-1", who, 10)}

    assert 850 < len(kept) < 1_150
    assert kept == {who for who in people if holdout.is_in("flow-1", who, 10)}
    assert kept < {who for who in people if holdout.is_in("flow-1", who, 20)}
    assert kept != {who for who in people if holdout.is_in("flow-2", who, 10)}
    assert not any(holdout.is_in("flow-1", who, 0) for who in people)
    assert all(holdout.is_in("flow-1", who, 100) for who in people)


def test_who_is_kept_out_ends_before_the_first_node_and_is_watched_all_the_same(
    flow_of: Callable[..., Flow], tenant: Tenant, api: APIClient
) -> None:
    flow = flow_of(chain(1, holdout_percent=50, goal=GOAL))
    people = [f"p{place}" for place in range(40)]
    triggers.start_many(flow, people)
    run_until_idle()
    kept = {who for who in people if holdout.is_in(str(flow.pk), who, 50)}

    runs = {run.participant_id: run for run in FlowInstance.objects.all()}
    assert {who for who, run in runs.items() if run.exit_reason == "holdout"} == kept
    assert {runs[who].status for who in kept} == {"exited"}
    assert all(not runs[who].context["outcomes"] for who in kept)

    buyers = [min(kept), *sorted(set(people) - kept)]
    for who in buyers:
        publish_event(who, "order_completed", tenant=tenant)
    event_router.route()
    catch_up()

    assert_equal_to_the_log()
    answer = api.get(f"/api/v1/flows/{flow.pk}/analytics/summary", {"from": "2029-12-20", "to": "2030-01-10"}).json()
    told: dict[str, Any] = answer["holdout"]
    others = len(people) - len(kept)
    assert (told["kept_out"]["participants"], told["kept_out"]["converted"]) == (len(kept), 1)
    assert (told["treated"]["participants"], told["treated"]["converted"]) == (others, others)
    assert told["lift"] == pytest.approx(len(kept) - 1, abs=1e-5)
    assert told["p_value"] < 0.05
    assert answer["conversion"]["converted"] == len(buyers)
    assert "<td>kept out</td>" in show_statistics(flow)


def test_a_flow_without_a_holdout_says_so(flow_of: Callable[..., Flow], api: APIClient) -> None:
    flow = flow_of(chain(1))

    assert api.get(f"/api/v1/flows/{flow.pk}/analytics/summary").json()["holdout"] is None
    assert "kept out" not in show_statistics(flow)
