"""A cap of one lets one message through, however many flows ask at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from engine import event_router, triggers
from engine.activity_worker import ActivityWorker
from engine.connections import SideConnection
from engine.execution import loop
from engine.inbox import publish_event
from flows.models import Flow, FlowInstance
from marketing.models import CapSlot, Delivery
from tenants.models import Tenant
from tests.marketing.caps.conftest import HELLO, can_send, capped
from tests.marketing.conftest import customer
from tests.marketing.deliveries.conftest import Post, post
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage, run_until_idle
from tests.support.races import at_once
from tests.support.soundness import assert_all_sound

__all__ = ["customer", "post"]

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


@contextmanager
def decided_elsewhere(tenant: Tenant, participant_id: str) -> Iterator[None]:
    """Somebody else decides on the participant's caps for the time of a block."""
    connection, _ = SideConnection().get()
    key = [f"cap:{tenant.pk}:{participant_id}"]
    connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", key)
    try:
        yield
    finally:
        connection.close()


def test_whoever_is_decided_on_elsewhere_comes_again_and_holds_up_nobody(flows: list[Flow], tenant: Tenant) -> None:
    runs = {who: Passage(flows[0], who) for who in PEOPLE}
    for who, run in runs.items():
        run.id = triggers.start(flows[0], who).pk

    with decided_elsewhere(tenant, "ada"):
        loop.advance(slice_s=0.2)
        assert [runs[who].path for who in PEOPLE] == [[], *[["entry", "cap", "send"]] * 2]
    run_until_idle()

    assert runs["ada"].path == ["entry", "cap", "send"]
    assert_all_sound()


def test_an_event_is_not_lost_on_a_run_that_is_decided_on_elsewhere(
    flow_of: Callable[..., Flow], tenant: Tenant
) -> None:
    can_send(tenant, "email")
    nodes = capped({"channel": "email"}) | {
        "entry": (*ENTRY, {None: "wait"}),
        "wait": ("wait_for_event", {"event_type": "came"}, {"event_received": "cap", "timed_out": "left_out"}),
    }
    ada = Passage(flow_of(graph(nodes)), "ada").start()
    publish_event("ada", "came", tenant=tenant)

    with decided_elsewhere(tenant, "ada"):
        assert event_router.route() == 1
        assert ada.event_types[-1] == "wait_resolved"
    run_until_idle()

    assert ada.path == ["entry", "wait", "cap", "send"]
    assert_all_sound()


def test_flows_with_a_cap_of_their_own_send_one_message_between_them(
    flow_of: Callable[..., Flow], tenant: Tenant, post: Post, customer: Callable[..., Any]
) -> None:
    nodes = {"entry": (*ENTRY, {None: "send"}), "send": ("send_email", HELLO, {None: "done"}), "done": ("exit", {})}
    cap = {"max_messages": 1, "scope": "workspace"}
    for who in PEOPLE:
        customer(who, email=f"{who}@b.de")
    for place in range(4):
        triggers.start_many(flow_of(graph(nodes, frequency_cap=cap), name=f"flow {place}"), PEOPLE)

    at_once([lambda: loop.advance(slice_s=10.0)] * 3)
    run_until_idle()
    at_once([hand_over] * 3)
    hand_over()

    assert sorted(message.participant_id for message in post.sent) == sorted(PEOPLE)
    assert sorted(Delivery.objects.values_list("status", flat=True)) == ["sent"] * 3 + ["skipped"] * 9


def hand_over() -> None:
    worker = ActivityWorker(threads=2)
    try:
        worker.run()
    finally:
        worker.close()
