"""Graphs as pictures."""

import re
from itertools import combinations, pairwise
from typing import Any

import pytest
from django.test import Client

from flows import lifecycle
from flows.admin import drawing
from flows.graph.model import parse
from tenants.models import Tenant
from tests.flows.graphs import line

# One way goes past three layers; two ways meet again.
SPLIT = {
    "nodes": [{"id": name, "type": "wait"} for name in ("in", "ask", "left", "right", "then", "<out>")],
    "edges": [
        {"source": "in", "target": "ask"},
        {"source": "ask", "target": "left", "branch": "true"},
        {"source": "ask", "target": "right", "branch": "false"},
        {"source": "ask", "target": "<out>", "branch": "timed_out"},
        {"source": "left", "target": "then"},
        {"source": "right", "target": "then"},
        {"source": "then", "target": "<out>"},
    ],
}
BOX = re.compile(r'<rect x="(-?\d+)" y="(-?\d+)"')


def draw(raw: Any) -> str:
    return drawing.draw(parse(raw))


def boxes(picture: str) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in BOX.findall(picture)]


def test_each_node_is_a_box_and_each_edge_a_way_with_its_branch() -> None:
    picture = draw(SPLIT)

    assert len(boxes(picture)) == 6
    assert picture.count('class="tip"') == 7
    assert re.findall(r'class="branch"[^>]*>(\w+)<', picture) == ["true", "false", "timed_out"]
    assert "&lt;out&gt;" in picture
    assert "<out>" not in picture


def test_whoever_comes_later_stands_further_down() -> None:
    rows = [y for _, y in boxes(draw(SPLIT))]

    assert rows == sorted(rows)
    assert len(set(rows)) == 5


def test_boxes_lie_beside_each_other_within_the_picture() -> None:
    picture = draw(SPLIT)
    placed = boxes(picture)
    (width,) = map(int, re.findall(r'<svg class="graph" width="(\d+)"', picture))

    for (x1, y1), (x2, y2) in combinations(placed, 2):
        assert y1 != y2 or abs(x1 - x2) >= drawing.WIDE
    assert all(0 <= x <= width - drawing.WIDE for x, _ in placed)


def test_a_way_that_passes_a_layer_goes_around_its_boxes() -> None:
    picture = draw(SPLIT)
    (long,) = [d for d in re.findall(r'<path d="([^"]+)"', picture) if d.count("L") == 3]
    bends = [(int(x), int(y)) for x, y in re.findall(r"L(\d+) (\d+)", long)][1:]

    for x, y in bends:
        beside = [left for left, top in boxes(picture) if top <= y <= top + drawing.HIGH]
        assert beside
        assert all(not left <= x <= left + drawing.WIDE for left in beside)


@pytest.mark.parametrize("number", [0, drawing.MOST + 1])
def test_what_is_nothing_or_too_much_is_not_drawn(number: int) -> None:
    names = [f"n{n}" for n in range(number)]
    edges = [{"source": one, "target": other} for one, other in pairwise(names)]

    assert draw({"nodes": [{"id": name, "type": "wait"} for name in names], "edges": edges}) == ""


def test_a_graph_that_goes_in_a_circle_is_not_drawn() -> None:
    ring = [{"source": "a", "target": "b"}, {"source": "b", "target": "a"}]

    assert draw({"nodes": [{"id": "a", "type": "wait"}, {"id": "b", "type": "wait"}], "edges": ring}) == ""


def test_the_pages_of_a_version_and_of_its_flow_show_the_picture(admin_client: Client, tenant: Tenant) -> None:
    flow = lifecycle.create(tenant, "Split", graph=line())
    before = admin_client.get(f"/admin/flows/flow/{flow.pk}/change/").content.decode()
    version = lifecycle.activate(flow).active_version

    assert "Nothing is published yet." in before
    for page in (f"flow/{flow.pk}", f"flowversion/{version.pk}"):
        assert '<svg class="graph"' in admin_client.get(f"/admin/flows/{page}/change/").content.decode()
