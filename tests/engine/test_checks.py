import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ConfigDict

from engine import checks, clock, ports
from engine.nodes import registry
from engine.nodes.base import Category, Node, NodeConfig, RunsAs
from engine.nodes.outcomes import Completed
from flows.graph.model import parse

JOURNEYS = sorted((Path(__file__).parents[1] / "journeys").glob("*.json"))
BRANCHES = {
    "preference_gate": ("true", "false"),
    "check_segment": ("true", "false"),
    "frequency_cap": ("allowed", "capped"),
}
MARKETING = {
    "send_email": Category.ACTION,
    "send_sms": Category.ACTION,
    "send_push": Category.ACTION,
    "send_in_app": Category.ACTION,
    "update_profile": Category.ACTION,
    "add_tag": Category.ACTION,
    "track_conversion": Category.ACTION,
    **dict.fromkeys(BRANCHES, Category.CONDITION),
}


@pytest.fixture(autouse=True)
def alone(monkeypatch) -> Iterator[None]:
    """It is noon, and nobody is there to be asked."""
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 6, 17, 12, tzinfo=UTC))
    with ports.binding(secrets=ports.Nobody(), segments=ports.Nobody()):
        yield


@pytest.fixture
def marketing() -> Iterator[None]:
    """Stand-ins for the types that marketing brings."""
    with registry.preserved():
        for name, kind in MARKETING.items():
            registry.unregister(name)
            registry.register(stand_in(name, kind))
        yield


def stand_in(name: str, kind: Category) -> type[Node]:
    class Config(NodeConfig):
        model_config = ConfigDict(extra="allow")

    class StandIn(Node):
        type = name
        category = kind
        branches = BRANCHES.get(name, ())
        runs_as = RunsAs.INLINE

        def execute(self, config, step):
            return Completed()

    StandIn.Config = Config
    return StandIn


def check(raw: dict[str, Any]) -> list[checks.Problem]:
    return list(checks.graph_nodes_are_valid(parse(raw), SimpleNamespace(pk="t-1")))


def found(raw: dict[str, Any]) -> set[tuple[str, str, str | None]]:
    return {(problem.code, problem.attr, problem.node_id) for problem in check(raw)}


def graph(*middle: dict[str, Any], edges: tuple = (), **settings: Any) -> dict[str, Any]:
    """An entry, what the test is about, and an exit; with edges from one to the next unless they are given."""
    nodes = [
        {"id": "entry", "type": "event_entry", "config": {"event_type": "a"}},
        *middle,
        {"id": "end", "type": "exit", "config": {}},
    ]
    ids = [node["id"] for node in nodes]
    pairs = edges or zip(ids, ids[1:], [None] * len(ids), strict=False)
    return {
        "nodes": nodes,
        "edges": [dict(zip(("source", "target", "branch"), edge, strict=True)) for edge in pairs],
        "settings": {"goal": {"name": "g"}, **settings},
    }


WAIT = {"id": "wait", "type": "wait", "config": {"duration": "1d"}}
ASK = {"id": "ask", "type": "condition", "config": {"path": "entry.x", "op": "exists"}}
HOOK = {"id": "hook", "type": "call_webhook", "config": {"url": "https://example.com/"}}


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda path: path.stem)
def test_the_journeys_have_no_problem(journey, marketing):
    assert check(json.loads(journey.read_text())) == []


def test_a_plain_graph_has_no_problem():
    assert check(graph(WAIT)) == []


def test_an_unknown_type_is_named():
    [problem] = check(graph({"id": "x", "type": "teleport", "config": {}}))
    assert (problem.code, problem.attr, problem.node_id) == ("unknown_type", "graph.nodes.1.type", "x")
    assert "teleport" in problem.detail


def test_a_mistake_in_a_config_is_found_in_its_place():
    assert found(graph({**WAIT, "config": {"duration": "soon"}})) == {
        ("invalid_config", "graph.nodes.1.config.duration", "wait")
    }
    rule = {"all": [{"path": "entry.x", "op": "is"}]}
    assert ("invalid_config", "graph.nodes.1.config.all.0.op", "ask") in found(graph({**ASK, "config": rule}))


def test_every_branch_must_lead_somewhere():
    edges = (("entry", "ask", None), ("ask", "end", "true"), ("ask", "end", "maybe"))
    assert found(graph(ASK, edges=edges)) == {
        ("missing_branch", "graph.nodes.1", "ask"),
        ("unknown_branch", "graph.edges.2.branch", "ask"),
    }
    assert ("missing_branch", "graph.nodes.1", "wait") in found(graph(WAIT, edges=(("entry", "wait", None),)))


def test_a_failure_that_branches_needs_its_edge():
    hook = {**HOOK, "config": {**HOOK["config"], "on_failure": "branch"}}
    assert found(graph(hook)) == {("missing_branch", "graph.nodes.1", "hook")}
    edges = (("entry", "hook", None), ("hook", "end", None), ("hook", "end", "failed"))
    assert check(graph(hook, edges=edges)) == []
    assert found(graph(HOOK, edges=edges)) == {("unknown_branch", "graph.edges.2.branch", "hook")}


def test_a_variant_is_a_branch():
    split = {"id": "ab", "type": "ab_split", "config": {"variants": [{"key": "x"}, {"key": "y", "weight": 0}]}}
    edges = (("entry", "ab", None), ("ab", "end", "x"), ("ab", "end", "y"))
    assert found(graph(split, edges=edges)) == {("zero_weight", "graph.nodes.1.config.variants.1.weight", "ab")}


@pytest.mark.parametrize("path", ["nodes.gone.status", "nodes.wai.status"])
def test_a_path_must_name_a_node_of_the_graph(path):
    hook = {**HOOK, "config": {**HOOK["config"], "body": {"a": [{"ref": path}]}}}
    assert found(graph(WAIT, hook)) == {("unknown_path", "graph.nodes.2.config.body.a.0.ref", "hook")}


def test_a_path_may_use_a_second_name_or_an_id_with_dots():
    hook = {**HOOK, "id": "my.hook", "config": {**HOOK["config"], "save_as": "stock"}}
    rule = {"all": [{"path": f"nodes.{name}.status", "op": "exists"} for name in ("stock", "my.hook")]}
    edges = (("entry", "my.hook", None), ("my.hook", "ask", None), ("ask", "end", "true"), ("ask", "end", "false"))
    assert check(graph(hook, {**ASK, "config": rule}, edges=edges)) == []


def test_what_merely_looks_like_a_rule_is_none():
    hook = {**HOOK, "config": {**HOOK["config"], "body": {"path": "/srv", "op": "delete"}}}
    assert check(graph(hook)) == []


def test_second_names_must_differ():
    def hook(node_id: str, name: str) -> dict[str, Any]:
        return {**HOOK, "id": node_id, "config": {**HOOK["config"], "save_as": name}}

    assert found(graph(hook("a", "x"), hook("b", "x"))) == {("save_as_collision", "graph.nodes.2.config.save_as", "b")}
    assert found(graph(hook("a", "b"), hook("b", "b"))) == {("save_as_collision", "graph.nodes.1.config.save_as", "a")}


def test_settings_are_checked():
    assert found(graph(default_timezone="Mars")) == {("invalid_settings", "graph.settings.default_timezone", None)}
    restart = {"if_at_node": "gone", "do": "restart_wait"}
    assert found(graph(on_duplicate_entry=restart)) == {
        ("invalid_settings", "graph.settings.on_duplicate_entry.if_at_node", None)
    }
    rule = {"path": "event.x", "op": "eq", "value": {"ref": "nodes.gone.x"}}
    assert found(graph(goal={"name": "g", "filter": rule})) == {
        ("unknown_path", "graph.settings.goal.filter.value.ref", None)
    }


def test_what_undoes_must_be_a_valid_action():
    def undo(**compensation: Any) -> set[tuple[str, str, str | None]]:
        return found(graph({**HOOK, "compensation": compensation}))

    assert undo(type="call_webhook", config={"url": "https://example.com/undo"}) == set()
    assert undo(type="gone", config={}) == {("invalid_compensation", "graph.nodes.1.compensation.type", "hook")}
    assert undo(type="exit", config={}) == {("invalid_compensation", "graph.nodes.1.compensation.type", "hook")}
    assert undo(type="call_webhook", config={"url": 3}) == {
        ("invalid_compensation", "graph.nodes.1.compensation.config.url", "hook")
    }


def test_what_undoes_may_read_what_its_node_answered():
    def undo(ref: str) -> set[tuple[str, str, str | None]]:
        config = {"url": "https://example.com/undo", "body": {"id": {"ref": ref}}}
        return found(graph({**HOOK, "compensation": {"type": "call_webhook", "config": config}}))

    at = "graph.nodes.1.compensation.config.body.id.ref"
    assert undo("result.response.id") == undo("nodes.hook.response.id") == set()
    assert undo("nodes.gone.id") == {("unknown_path", at, "hook")}
    reads = {**HOOK, "config": {**HOOK["config"], "body": {"ref": "result.id"}}}
    assert found(graph(reads)) == {("unknown_path", "graph.nodes.1.config.body.ref", "hook")}


class Secrets:
    """Has one."""

    def fetch(self, tenant_id, name):
        return None

    def existing(self, tenant_id, names):
        assert tenant_id == "t-1"
        return frozenset(names) & {"crm"}


def test_secrets_must_exist_once_somebody_keeps_them():
    raw = graph(*({**HOOK, "id": name, "config": {**HOOK["config"], "secret": name}} for name in ("crm", "shop")))
    assert check(raw) == []
    with ports.binding(secrets=Secrets()):
        assert found(raw) == {("unresolved_reference", "graph.nodes.2.config.secret", "shop")}


def test_other_references_are_checked_by_those_who_know_them(monkeypatch):
    monkeypatch.setattr(checks, "_resolvers", {})
    raw = graph(exit_criteria={"on_segment_exit": "vip"})
    assert check(raw) == []
    checks.register_resolver("segment", lambda tenant_id, names: frozenset())
    assert found(raw) == {("unresolved_reference", "graph.settings.exit_criteria.on_segment_exit", None)}


WAITS_FOR_EVER = {"id": "w", "type": "wait_for_event", "config": {"event_type": "b"}}


@pytest.mark.parametrize(
    ("node", "code", "place"),
    [
        (WAITS_FOR_EVER, "wait_without_timeout", "timeout"),
        ({**HOOK, "config": {"url": "http://example.com/"}}, "insecure_url", "url"),
        ({"id": "w", "type": "wait_until", "config": {"datetime": "2026-01-01"}}, "past_date", "datetime"),
    ],
)
def test_warnings_do_not_forbid(node, code, place):
    expected = f"graph.nodes.1.config.{place}"
    assert (code, expected, "warning") in {(each.code, each.attr, each.severity) for each in check(graph(node))}


def test_a_flow_without_a_goal_is_warned_of():
    assert found(graph(goal=None)) == {("no_goal", "graph.settings.goal", None)}
