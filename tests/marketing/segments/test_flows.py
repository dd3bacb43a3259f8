"""Segments in flows: they start, choose, and end runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine import checks, ports, triggers
from engine.entries import MAX_DEPTH
from engine.models import InboundEvent
from flows.graph.model import parse
from flows.models import Flow, FlowInstance
from marketing.customers import profiles
from marketing.models import Customer
from marketing.segments import catalog
from marketing.segments.lookup import Memberships
from tenants.models import Tenant
from tests.marketing.segments.test_evaluation import change, settle
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage, run_until_idle

IS_PRO = {"path": "participant.plan", "op": "eq", "value": "pro"}


def test_entering_a_segment_starts_a_flow_by_slug_and_by_id(
    tenant: Tenant, customer: Callable[..., Customer], flow_of: Callable[..., Flow]
) -> None:
    ada, pros = customer("ada"), catalog.create(tenant, {"slug": "pros", "rule": IS_PRO})
    settle()
    names = ["pros", str(pros.pk)]
    for name in names:
        flow_of(graph({"in": ("segment_entry", {"segment_id": name}, {None: "end"}), "end": ("exit", {})}), name=name)

    change(ada, plan="pro")
    settle()

    started = FlowInstance.objects.values_list("flow__name", "participant_id")
    assert sorted(started) == sorted((name, "ada") for name in names)


def test_leaving_a_segment_ends_the_run_that_hangs_on_it(
    tenant: Tenant, customer: Callable[..., Customer], passage: Callable[..., Passage]
) -> None:
    pros = catalog.create(tenant, {"slug": "pros", "rule": IS_PRO})
    profile = customer("ada", properties={"plan": "pro"})
    settle()
    nodes = {
        "in": (*ENTRY, {None: "wait"}),
        "wait": ("wait", {"duration": "3d"}, {None: "end"}),
        "end": ("exit", {}),
    }
    runs = [
        passage(graph(nodes, exit_criteria={"on_segment_exit": name, "when": "immediately"})).start()
        for name in ("pros", str(pros.pk))
    ]

    change(profile, plan="free")
    settle()

    assert [run.status for run in runs] == ["exited", "exited"]


def test_flows_that_feed_each_other_through_a_segment_come_to_an_end(
    tenant: Tenant, customer: Callable[..., Customer], flow_of: Callable[..., Flow]
) -> None:
    has_tag = {"path": "participant.tags", "op": "contains", "value": "hot"}
    catalog.create(tenant, {"slug": "hot", "rule": has_tag})
    for on, action in (("entered", "remove"), ("left", "add")):
        nodes = {
            "in": ("segment_entry", {"segment_id": "hot", "on": on}, {None: "turn"}),
            "turn": ("add_tag", {"tag": "hot", "action": action}, {None: "end"}),
            "end": ("exit", {}),
        }
        flow_of(graph(nodes, reentry="always"), name=on)
    settle()
    ada = customer("ada")

    profiles.tag(tenant, ada.external_id, add=["hot"])
    for _ in range(2 * MAX_DEPTH):
        settle()
        run_until_idle()

    events = InboundEvent.objects.order_by("id")
    assert [event.causation_depth for event in events] == list(range(1, MAX_DEPTH + 2))
    assert FlowInstance.objects.count() == MAX_DEPTH
    assert {effect["code"] for effect in events[MAX_DEPTH].effects} == {"loop"}


class Asked(Memberships):
    """Remembers how often it was asked."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def memberships_many(
        self, tenant_id: str, participant_ids: Sequence[str], segment_ids: Sequence[str]
    ) -> Mapping[str, frozenset[str]]:
        self.calls.append(len(participant_ids))
        return super().memberships_many(tenant_id, participant_ids, segment_ids)


def test_check_segment_asks_who_is_in_it_now_once_for_all(
    tenant: Tenant, customer: Callable[..., Customer], flow_of: Callable[..., Flow]
) -> None:
    catalog.create(tenant, {"slug": "pros", "rule": IS_PRO})
    for number in range(20):
        customer(f"c{number}", properties={"plan": "pro" if number % 2 else "free"})
    settle()
    nodes = {
        "in": (*ENTRY, {None: "ask"}),
        "ask": ("check_segment", {"segment_id": "pros"}, {"true": "yes", "false": "no"}),
        "yes": ("exit", {"reason": "yes"}),
        "no": ("exit", {"reason": "no"}),
    }
    flow = flow_of(graph(nodes))
    for number in range(21):
        triggers.start(flow, f"c{number}")

    asked = Asked()
    with ports.binding(segments=asked):
        run_until_idle()

    reasons = dict(FlowInstance.objects.values_list("participant_id", "exit_reason"))
    assert reasons == {f"c{number}": "yes" if number % 2 else "no" for number in range(21)}
    assert asked.calls == [21]


def test_a_segment_that_is_not_there_is_told_before_publishing(tenant: Tenant, other_tenant: Tenant) -> None:
    nodes = {
        "in": ("segment_entry", {"segment_id": "pros"}, {None: "ask"}),
        "ask": ("check_segment", {"segment_id": "pros"}, {"true": "end", "false": "end"}),
        "end": ("exit", {}),
    }
    raw = graph(nodes, exit_criteria={"on_segment_exit": "pros"})
    places = ["graph.nodes.0.config.segment_id", "graph.nodes.1.config.segment_id"]

    assert unresolved(tenant, raw) == [*places, "graph.settings.exit_criteria.on_segment_exit"]
    catalog.create(tenant, {"slug": "pros", "rule": IS_PRO})
    assert unresolved(tenant, raw) == []
    assert len(unresolved(other_tenant, raw)) == 3


def unresolved(tenant: Tenant, raw: dict[str, Any]) -> list[str | None]:
    found = checks.graph_nodes_are_valid(parse(raw), tenant)
    return sorted(each.attr for each in found if each.code == "unresolved_reference")
