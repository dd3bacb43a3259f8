"""Each rule of a well-formed graph, broken once."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.graph import model, rules
from tests.flows.graphs import category_of, edge, graph, line, node

ENTRY, END = node("entry", "event_entry"), node("end", "exit")


def broken(raw):
    return [(p.code, p.attr, p.node_id) for p in rules.problems_of(model.parse(raw), category_of)]


def test_a_line_breaks_no_rule():
    assert broken(line("a", "b", "c")) == []


def test_a_graph_without_a_trigger_has_no_entry():
    assert broken(graph(node("a"), END, edges=[edge("a", "end")])) == [("no_entry", "graph.nodes", None)]
    assert broken(graph(edges=[])) == [("no_entry", "graph.nodes", None)]


@pytest.mark.parametrize("bad", ["", "a b", "ä", "a/b", "x" * 65, "a\n"])
def test_an_id_is_short_and_plain(bad):
    raw = graph(ENTRY, node(bad), END, edges=[edge("entry", bad), edge(bad, "end")])

    assert broken(raw) == [("invalid_id", "graph.nodes.1.id", bad)]


def test_an_entry_is_not_led_to():
    raw = graph(ENTRY, node("more", "event_entry"), edges=[edge("entry", "more")])

    assert broken(raw) == [("entry_has_incoming", "graph.nodes.1", "more")]


def test_an_end_leads_nowhere():
    raw = graph(ENTRY, END, node("after"), edges=[edge("entry", "end"), edge("end", "after")])

    assert broken(raw) == [("end_has_outgoing", "graph.nodes.1", "end")]


def test_a_cycle_is_shown_with_its_path():
    raw = line("a", "b", "c")
    raw["edges"].append(edge("c", "a", "again"))

    [problem] = rules.problems_of(model.parse(raw), category_of)

    assert (problem.code, problem.attr, problem.node_id) == ("cycle", "graph.edges.4", "a")
    assert "a → b → c → a" in problem.detail


def test_a_node_that_leads_to_itself_is_a_cycle():
    raw = line("a")
    raw["edges"].append(edge("a", "a"))

    [problem] = rules.problems_of(model.parse(raw), category_of)

    assert "a → a" in problem.detail


def test_a_node_that_nobody_can_reach_is_named():
    raw = graph(ENTRY, END, node("lost"), node("last"), edges=[edge("entry", "end"), edge("lost", "last")])

    assert broken(raw) == [("unreachable", "graph.nodes.2", "lost"), ("unreachable", "graph.nodes.3", "last")]


def test_a_thousand_nodes_are_the_limit():
    assert broken(line(*(f"n{i}" for i in range(998)))) == []
    assert broken(line(*(f"n{i}" for i in range(999)))) == [("too_large", "graph.nodes", None)]


def test_five_thousand_edges_are_the_limit():
    assert broken(_dense(5_000)) == []
    assert broken(_dense(5_001)) == [("too_large", "graph.edges", None)]


def test_the_largest_graph_is_checked_within_a_moment():
    raw = _dense(5_000)

    took = []
    for _ in range(5):
        began = time.process_time()
        assert broken(raw) == []
        took.append(time.process_time() - began)

    assert min(took) < 0.05


def _dense(edges):
    ids = [f"n{i}" for i in range(1_000)]
    pairs = [(a, a + step) for step in range(1, 8) for a in range(1_000 - step)][:edges]
    nodes = [node(i, "event_entry" if i == "n0" else "wait") for i in ids]
    return graph(*nodes, edges=[edge(ids[a], ids[b]) for a, b in pairs])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=5), children, max_size=4),
    max_leaves=12,
)
IDS = st.sampled_from(["a", "b", "c", "d"]) | JSON
NODES = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS,
        "type": st.sampled_from(["wait", "exit", "event_entry"]) | JSON,
        "config": JSON,
        "join": JSON,
        "compensation": JSON,
        "position": JSON,
    },
)
EDGES = st.fixed_dictionaries({}, optional={"source": IDS, "target": IDS, "branch": JSON})
GRAPHS = st.fixed_dictionaries(
    {"nodes": st.lists(NODES | JSON, max_size=6) | JSON},
    optional={"edges": st.lists(EDGES | JSON, max_size=8) | JSON, "settings": JSON},
)


@given(JSON | GRAPHS)
def test_any_json_gets_problems_and_never_an_exception(raw):
    read_graph, problems = model.read(raw)
    if read_graph is not None:
        problems += rules.problems_of(read_graph, category_of)

    assert read_graph is not None or problems
    assert all(problem.attr.startswith("graph") and problem.detail for problem in problems)
