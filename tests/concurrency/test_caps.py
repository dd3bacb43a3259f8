"""A cap of one lets one message through, however many flows ask at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine import triggers
from engine.execution import loop
from flows.models import Flow, FlowInstance
from marketing.models import CapSlot, Delivery
from tenants.models import Tenant
from tests.marketing.caps.conftest import can_send, capped
from tests.support.graphs import graph
from tests.support.passage import run_until_idle
from tests.support.races import at_once
from tests.support.soundness import assert_all_sound

PEOPLE = ("ada", "bob", "eve")


@pytest.fixture
def flows(flow_of: Callable[..., Flow], tenant: Tenant) -> list[Flow]:
    can_send(tenant, "email")
    cap = {"channel": "email", "max_messages": 1}
    return [flow_of(graph(capped(cap, pause="1h" if place % 2 else "")), name=f"flow {place}") for place in range(6)]


def outcomes(participant_id: str) -> list[str]:
    runs = FlowInstance.objects.filter(participant_id=participant_id)
    return sorted(run.context["outcomes"].get("cap", "") for run in runs)


@pytest.mark.parametrize("batch", [1, 200])
def test_a_cap_of_one_lets_one_through_whoever_runs_the_flows(flows: list[Flow], batch: int, settings: Any) -> None:
    settings.KALCIFER_BATCH_SIZE = batch
    for flow in flows:
        triggers.start_many(flow, PEOPLE)

    at_once([lambda: loop.advance(slice_s=10.0)] * 4)
    run_until_idle()

    for who in PEOPLE:
        assert outcomes(who) == ["allowed", *["capped"] * 5]
        assert (
            Delivery.objects.filter(participant_id=who).count() + CapSlot.objects.filter(participant_id=who).count()
            == 1
        )
    assert_all_sound()


def test_starts_and_runs_at_the_same_moment_share_one_cap(flows: list[Flow]) -> None:
    def start_and_run(flow: Flow) -> None:
        triggers.start_many(flow, PEOPLE)
        loop.advance(slice_s=10.0)

    at_once([lambda flow=flow: start_and_run(flow) for flow in flows])
    run_until_idle()

    assert [outcomes(who) for who in PEOPLE] == [["allowed", *["capped"] * 5]] * 3
    assert_all_sound()
