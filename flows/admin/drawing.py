"""A graph as a picture: from the entries down, each way with its branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from flows.graph import walk
from flows.graph.model import Edge, Graph

# More than this is no picture any more.
MOST = 150
WIDE, HIGH, BETWEEN, BELOW, BEND = 156, 42, 22, 52, 18
LETTERS = 21
SWEEPS = 6

# A node by its id, or where a way passes a layer: (index of the edge, layer).
Spot = str | tuple[int, int]

PICTURE = (
    '<div class="scrolled"><svg class="graph" width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img"'
    ' aria-label="The graph as a picture">{2}{3}</svg></div>'
)
WAY = '<path d="{}"/><path class="tip" d="M{} {}l-4 -7h8z"/>'
BRANCH = '<text class="branch" x="{}" y="{}">{}</text>'
BOX = (
    '<g class="{}"><title>{}: {}</title><rect x="{}" y="{}" width="{}" height="{}" rx="6"/>'
    '<text x="{}" y="{}">{}</text><text class="type" x="{}" y="{}">{}</text></g>'
)


@dataclass(frozen=True, slots=True)
class Way:
    """An edge with the spots that it passes, from its source to its target."""

    edge: Edge
    spots: list[Spot]


def draw(graph: Graph) -> SafeString:
    """Draw the graph as SVG; nothing for one with a cycle, which has no beginning, or with too many nodes."""
    order = walk.topological_order(graph)
    if not graph.nodes or len(order) < len(graph.nodes) or len(order) > MOST:
        return format_html("{}", "")
    layers, ways = _layered(graph, order)
    _untangle(layers, ways)
    width = max(map(_width_of, layers)) + 2 * BETWEEN
    centres = _placed(layers, width)
    boxes = format_html_join("", "{}", ((_box(graph, node_id, *centres[node_id]),) for node_id in order))
    lines = format_html_join("", "{}", ((_line(way, centres),) for way in ways))
    return format_html(PICTURE, width, len(layers) * (HIGH + BELOW) - BELOW + 2, lines, boxes)


# Each node a layer below the last of those before it; what passes a layer has a place of its own in it.
def _layered(graph: Graph, order: Sequence[str]) -> tuple[list[list[Spot]], list[Way]]:
    before = walk.predecessors(graph)
    depth: dict[str, int] = {}
    for node_id in order:
        depth[node_id] = max((depth[each] + 1 for each in before[node_id]), default=0)
    layers: list[list[Spot]] = [[] for _ in range(max(depth.values()) + 1)]
    for node_id in order:
        layers[depth[node_id]].append(node_id)
    ways = []
    for edge in graph.edges:
        passed: list[Spot] = [(edge.index, layer) for layer in range(depth[edge.source] + 1, depth[edge.target])]
        for layer, spot in enumerate(passed, depth[edge.source] + 1):
            layers[layer].append(spot)
        ways.append(Way(edge, [edge.source, *passed, edge.target]))
    return layers, ways


# Each spot goes to the middle of its neighbours above, then of those below, a few times over.
def _untangle(layers: list[list[Spot]], ways: Sequence[Way]) -> None:
    above: dict[Spot, list[Spot]] = {}
    below: dict[Spot, list[Spot]] = {}
    for way in ways:
        for upper, lower in pairwise(way.spots):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    for sweep in range(SWEEPS):
        neighbours, downwards = (below, False) if sweep % 2 else (above, True)
        for layer in layers if downwards else reversed(layers):
            place = {spot: x for row in layers for x, spot in enumerate(row)}
            layer.sort(key=lambda spot: _middle([place[each] for each in neighbours.get(spot, ())], place[spot]))


def _middle(places: Sequence[int], own: int) -> float:
    return sum(places) / len(places) if places else float(own)


def _width_of(layer: Sequence[Spot]) -> int:
    return sum(_wide(spot) + BETWEEN for spot in layer) - BETWEEN


def _wide(spot: Spot) -> int:
    return WIDE if isinstance(spot, str) else BEND


def _placed(layers: Sequence[Sequence[Spot]], width: int) -> dict[Spot, tuple[int, int]]:
    centres: dict[Spot, tuple[int, int]] = {}
    for depth, layer in enumerate(layers):
        left = (width - _width_of(layer)) // 2
        for spot in layer:
            centres[spot] = (left + _wide(spot) // 2, depth * (HIGH + BELOW) + HIGH // 2 + 1)
            left += _wide(spot) + BETWEEN
    return centres


def _line(way: Way, centres: dict[Spot, tuple[int, int]]) -> SafeString:
    points = [centres[spot] for spot in way.spots]
    (x, y), (end, bottom) = points[0], points[-1]
    path = [f"M{x} {y + HIGH // 2}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        low, high = y1 + HIGH // 2, y2 - HIGH // 2
        middle = (low + high) // 2
        path.append(f"L{x1} {low}C{x1} {middle} {x2} {middle} {x2} {high}")
    drawn = format_html(WAY, "".join(path), end, bottom - HIGH // 2)
    if not way.edge.branch:
        return drawn
    aside = points[1][0]
    return drawn + format_html(BRANCH, (x + aside) // 2, y + HIGH // 2 + BELOW // 2 + 3, _short(way.edge.branch))


def _box(graph: Graph, node_id: str, x: int, y: int) -> SafeString:
    node = graph.nodes[node_id]
    kind = "ends" if not walk.outgoing(graph)[node_id] else "begins" if not walk.incoming(graph)[node_id] else ""
    corner = (x - WIDE // 2, y - HIGH // 2, WIDE, HIGH)
    return format_html(BOX, kind, node_id, node.type, *corner, x, y - 3, _short(node_id), x, y + 13, _short(node.type))


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"
