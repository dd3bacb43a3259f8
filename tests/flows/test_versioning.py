"""What the difference of two graphs says."""

from copy import deepcopy

from flows.versioning import diff
from tests.flows.graphs import edge, line, node

NOTHING = {"nodes": {"added": [], "removed": [], "changed": []}, "edges": {"added": [], "removed": []}, "settings": []}


def test_a_graph_does_not_differ_from_itself():
    assert diff(line(), deepcopy(line())) == NOTHING


def test_moving_a_node_on_the_canvas_changes_nothing():
    moved = line()
    moved["nodes"][1]["position"] = {"x": 1, "y": 1}

    assert diff(line(), moved) == NOTHING


def test_each_changed_value_is_named_by_its_path():
    after = line(reentry="once", goal={"name": "paid"})
    after["nodes"][1] |= {"join": "all", "config": {"duration": "2d", "jitter": True}}

    found = diff(line(reentry="always"), after)

    assert found["nodes"] == {
        "added": [],
        "removed": [],
        "changed": [
            {
                "node_id": "pause",
                "fields": [
                    {"path": "config.duration", "before": "1d", "after": "2d"},
                    {"path": "config.jitter", "before": None, "after": True},
                    {"path": "join", "before": "any", "after": "all"},
                ],
            }
        ],
    }
    assert found["settings"] == [
        {"path": "reentry", "before": "always", "after": "once"},
        {"path": "goal", "before": None, "after": {"name": "paid"}},
    ]


def test_added_and_removed_nodes_and_edges_are_listed():
    after = line("pause", "again")

    found = diff(line("pause"), after)

    assert found["nodes"]["added"] == ["again"]
    assert found["edges"] == {
        "added": [edge("pause", "again"), edge("again", "end")],
        "removed": [edge("pause", "end")],
    }
    assert diff(after, line("pause"))["nodes"]["removed"] == ["again"]


def test_true_is_not_one():
    before, after = line(), line()
    before["nodes"][1] = node("pause", config={"n": 1})
    after["nodes"][1] = node("pause", config={"n": True})

    [changed] = diff(before, after)["nodes"]["changed"]

    assert changed["fields"] == [{"path": "config.n", "before": 1, "after": True}]


def test_what_is_no_graph_differs_by_all_there_is():
    assert diff({}, line("pause"))["nodes"]["added"] == ["entry", "pause", "end"]
