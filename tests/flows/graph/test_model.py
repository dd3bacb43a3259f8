"""Reading a graph: what is kept, what is reported, and what is no graph at all."""

import pytest

from flows.graph.model import Compensation, Edge, parse, read
from flows.graph.problems import NotAGraph
from tests.flows.graphs import edge, graph, line, node


def problems(raw):
    return {(p.code, p.attr, p.node_id) for p in read(raw)[1]}


def test_a_graph_is_read_as_its_author_wrote_it():
    raw = line("nap", reentry="once")
    raw["nodes"][1] |= {
        "join": "all",
        "position": {"x": 1, "y": 2},
        "compensation": {"type": "exit", "config": {"reason": "undone"}},
    }

    read_graph = parse(raw)

    assert list(read_graph.nodes) == ["entry", "nap", "end"]
    assert read_graph.settings == {"reentry": "once"}
    assert read_graph.edges == (Edge("entry", "nap", None, 0), Edge("nap", "end", None, 1))
    nap = read_graph.nodes["nap"]
    assert (nap.join, nap.index, nap.compensation) == ("all", 1, Compensation("exit", {"reason": "undone"}))


def test_key_name_and_description_are_kept_and_ignored():
    assert problems(line() | {"key": "k", "name": "n", "description": "d"}) == set()


def test_edges_and_settings_may_be_missing():
    read_graph, found = read({"nodes": [node("a")]})

    assert read_graph.edges == ()
    assert found == []


@pytest.mark.parametrize(
    ("raw", "attr"),
    [
        (None, "graph"),
        ([], "graph"),
        ("graph", "graph"),
        (7, "graph"),
        ({}, "graph.nodes"),
        ({"nodes": "none"}, "graph.nodes"),
        ({"nodes": {"a": {}}}, "graph.nodes"),
        ({"nodes": [], "edges": "none"}, "graph.edges"),
        ({"nodes": [node("a"), 3]}, "graph.nodes.1"),
        ({"nodes": [], "edges": [["a", "b"]]}, "graph.edges.0"),
        ({"nodes": [node("a", config={"text": "a\0b"})]}, "graph"),
        ({"nodes": [node("a", config={"text": "\ud800"})]}, "graph"),
        ({"nodes": [node("a", config={"number": float("nan")})]}, "graph"),
    ],
)
def test_what_is_no_graph_at_all_is_refused(raw, attr):
    with pytest.raises(NotAGraph) as refusal:
        parse(raw)

    assert {(p.code, p.attr) for p in refusal.value.problems} == {("not_a_graph", attr)}


def test_a_backslash_before_u0000_is_no_nul():
    assert read({"nodes": [node("a", config={"text": r"\u0000"})]})[0] is not None


def test_a_graph_of_more_than_512_kib_is_too_large():
    assert problems(graph(node("a", config={"text": "x" * 600_000}), edges=[])) == {("too_large", "graph", None)}


@pytest.mark.parametrize("depth", [70, 500, 100_000])
def test_a_graph_that_is_nested_too_deep_is_too_large(depth):
    nested: dict = {}
    for _ in range(depth):
        nested = {"a": nested}

    assert problems(graph(node("a", config=nested), edges=[])) == {("too_large", "graph", None)}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"id": 7}, ("invalid_id", "graph.nodes.0.id", None)),
        ({"id": None}, ("invalid_id", "graph.nodes.0.id", None)),
        ({"type": None}, ("wrong_type", "graph.nodes.0.type", "a")),
        ({"type": ["wait"]}, ("wrong_type", "graph.nodes.0.type", "a")),
        ({"type": ""}, ("wrong_type", "graph.nodes.0.type", "a")),
        ({"config": "1d"}, ("wrong_type", "graph.nodes.0.config", "a")),
        ({"config": []}, ("wrong_type", "graph.nodes.0.config", "a")),
        ({"position": 3}, ("wrong_type", "graph.nodes.0.position", "a")),
        ({"join": "some"}, ("invalid_join", "graph.nodes.0.join", "a")),
        ({"join": ["all"]}, ("invalid_join", "graph.nodes.0.join", "a")),
        ({"label": "A"}, ("unknown_field", "graph.nodes.0.label", "a")),
        ({"compensation": 3}, ("wrong_type", "graph.nodes.0.compensation", "a")),
        ({"compensation": {"config": {}}}, ("wrong_type", "graph.nodes.0.compensation.type", "a")),
        ({"compensation": {"type": "x", "config": 1}}, ("wrong_type", "graph.nodes.0.compensation.config", "a")),
        ({"compensation": {"type": "x", "of": 1}}, ("unknown_field", "graph.nodes.0.compensation.of", "a")),
    ],
)
def test_a_fault_of_a_node_names_its_place(change, expected):
    assert problems(graph(node("a") | change, edges=[])) == {expected}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (edge("x", "b"), ("unknown_source", "graph.edges.1.source", "b")),
        (edge("a", "x"), ("unknown_target", "graph.edges.1.target", "a")),
        (edge(["a"], "b"), ("unknown_source", "graph.edges.1.source", "b")),
        ({"source": "a"}, ("unknown_target", "graph.edges.1.target", "a")),
        (edge("a", "b", True), ("wrong_type", "graph.edges.1.branch", "a")),
        (edge("a", "b"), ("duplicate_edge", "graph.edges.1", "a")),
        (edge("a", "b", "other") | {"label": "?"}, ("unknown_field", "graph.edges.1.label", "a")),
    ],
)
def test_a_fault_of_an_edge_names_its_place(wrong, expected):
    assert problems(graph(node("a"), node("b"), edges=[edge("a", "b"), wrong])) == {expected}


def test_an_id_is_taken_once():
    raw = graph(node("a"), node("a", "exit"), edges=[])

    assert problems(raw) == {("duplicate_id", "graph.nodes.1.id", "a")}
    assert parse(raw).nodes["a"].type == "wait"


def test_settings_are_an_object():
    assert problems({"nodes": [], "settings": "once"}) == {("wrong_type", "graph.settings", None)}


def test_a_field_beside_nodes_and_edges_is_unknown():
    assert problems({"nodes": [], "vertices": []}) == {("unknown_field", "graph.vertices", None)}
