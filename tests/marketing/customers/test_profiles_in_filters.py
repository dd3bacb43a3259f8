"""Filters of waits, goals and exits see the profile as it is when the event comes; side effects of nodes see it too."""

from __future__ import annotations

import pytest

from engine import event_router
from engine.activity_worker import ActivityWorker
from engine.inbox import publish_event
from engine.models import InboundEvent
from engine.nodes import registry
from engine.nodes.base import Category, Node, NodeConfig
from engine.nodes.outcomes import Completed
from engine.nodes.references import Reference
from flows.models import FlowInstance
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle

OWN_CITY = {"path": "participant.city", "op": "eq", "value": {"ref": "entry.city"}}
HER_SHOP = {"path": "event.shop", "op": "eq", "value": {"ref": "participant.shop"}}


def waits(rule, **config):
    return {
        "entry": (*ENTRY, {None: "wait"}),
        "wait": (
            "wait_for_event",
            {"event_type": "bought", "filter": rule, "timeout": "3d", **config},
            {"event_received": "done", "timed_out": "done"},
        ),
        "done": ("exit", {}),
    }


def buys(passage, **data):
    publish_event(passage.participant_id, "bought", data=data, tenant=passage.flow.tenant)
    event_router.route()
    run_until_idle()


@pytest.mark.parametrize(("shop", "status"), [("north", "completed"), ("south", "waiting")])
def test_a_wait_compares_an_event_with_the_profile(passage, customer, shop, status):
    customer("ada", properties={"shop": "north"})
    ada = passage(graph(waits(HER_SHOP))).start()

    buys(ada, shop=shop)

    assert ada.status == status


def test_the_profile_counts_as_it_is_when_the_event_comes(passage, customer):
    profile = customer("ada", properties={"city": "Rome"})
    ada = passage(graph(waits(OWN_CITY))).start(context={"city": "Oslo"})
    buys(ada)
    assert ada.status == "waiting"

    profile.properties = {"city": "Oslo"}
    profile.save()
    buys(ada)

    assert ada.status == "completed"


def test_a_look_back_sees_the_profile(passage, customer, tenant):
    customer("ada", properties={"shop": "north"})
    run = passage(graph(waits(HER_SHOP, lookback="since_entry")))
    for shop in ("south", "north"):
        publish_event("ada", "bought", data={"shop": shop}, tenant=tenant)

    run.start()

    assert run.results["wait"]["event"] == {"shop": "north"}


def test_what_ends_a_run_from_outside_sees_the_profile(passage, customer):
    customer("ada", properties={"shop": "north"})
    nodes = waits({"any": []})
    ada = passage(graph(nodes, exit_criteria={"on_event": {"event_type": "bought", "filter": HER_SHOP}})).start()
    buys(ada, shop="south")
    assert ada.status == "waiting"

    buys(ada, shop="north")

    assert ada.instance.exit_reason == "exit_criteria"


def test_a_side_effect_sees_the_profile_that_its_config_reads(passage, customer):
    class Greet(Node):
        type = "greet"
        category = Category.ACTION

        class Config(NodeConfig):
            name: Reference

        def execute(self, config, step):
            return Completed({"name": step.resolve(config.name)})

    registry.register(Greet)
    customer("ada", name="Ada")
    nodes = {
        "entry": (*ENTRY, {None: "greet"}),
        "greet": ("greet", {"name": {"ref": "participant.name"}}, {None: "done"}),
        "done": ("exit", {}),
    }
    ada = passage(graph(nodes)).start()
    worker = ActivityWorker(threads=1)
    try:
        worker.run()
    finally:
        worker.close()
    run_until_idle()

    assert ada.results["greet"] == {"name": "Ada"}


def test_an_entry_asks_for_the_profile(flow_of, customer, tenant):
    for who, shop in (("ada", "north"), ("bob", "south")):
        customer(who, properties={"shop": shop})
    nodes = {
        "entry": ("event_entry", {"event_type": "bought", "filter": HER_SHOP}, {None: "done"}),
        "done": ("exit", {}),
    }
    flow_of(graph(nodes))

    for who in ("ada", "bob", "eve"):
        publish_event(who, "bought", data={"shop": "north"}, tenant=tenant)
    event_router.route()

    assert list(FlowInstance.objects.values_list("participant_id", flat=True)) == ["ada"]
    refused = InboundEvent.objects.exclude(participant_id="ada")
    assert [each.effects[0]["code"] for each in refused] == ["entry_filter"] * 2
