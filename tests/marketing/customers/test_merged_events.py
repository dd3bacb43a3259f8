"""What comes in under an id that was merged reaches the runs of the one that goes on, whenever it came."""

from __future__ import annotations

import pytest

from engine import event_router
from engine.inbox import publish_event
from engine.models import InboundEvent
from flows.models import FlowInstance
from marketing.customers import merging
from tests.marketing.customers.test_merging import waiting_graph
from tests.support.graphs import graph
from tests.support.passage import run_until_idle


@pytest.fixture
def two(customer):
    customer("anon")
    customer("ada")


def routed():
    while event_router.route(slice_s=5.0):
        run_until_idle()
    run_until_idle()


def test_a_later_event_of_the_old_id_reaches_the_known_ones_run(two, passage, tenant):
    ada = passage(waiting_graph(), "ada").start()
    merging.merge(tenant, "anon", "ada")

    publish_event("anon", "reply", tenant=tenant, event_id="e1")
    routed()

    assert ada.status == "completed"
    event = InboundEvent.objects.get(event_id="e1")
    assert event.participant_id == "ada"
    assert [effect["kind"] for effect in event.effects] == ["wait_resolved"]


def test_an_event_that_nobody_had_routed_goes_along(two, passage, tenant):
    ada = passage(waiting_graph(), "ada").start()
    publish_event("anon", "reply", tenant=tenant)

    merging.merge(tenant, "anon", "ada")
    routed()

    assert ada.status == "completed"


def test_a_flow_is_started_for_the_known_one_and_once(two, flow_of, tenant):
    nodes = {
        "in": ("event_entry", {"event_type": "came"}, {None: "wait"}),
        "wait": ("wait", {"duration": "1d"}, {None: "done"}),
        "done": ("exit", {}),
    }
    flow_of(graph(nodes))
    merging.merge(tenant, "anon", "ada")

    for who in ("anon", "ada", "anon"):
        publish_event(who, "came", tenant=tenant)
    routed()

    assert list(FlowInstance.objects.values_list("participant_id", flat=True)) == ["ada"]


def test_the_same_id_of_another_tenant_is_somebody_else(two, tenant, other_tenant, customer):
    customer("anon", tenant=other_tenant)
    merging.merge(tenant, "anon", "ada")

    publish_event("anon", "reply", tenant=other_tenant)
    routed()

    assert InboundEvent.objects.get().participant_id == "anon"
