"""How two graphs differ, in what they do; where nodes are drawn makes no difference."""

import json
from collections.abc import Iterator
from typing import Any

from flows.graph.model import Edge, Graph, GraphNode, read

JSON = dict[str, Any]

NOTHING = Graph(settings={}, nodes={}, edges=())


def diff(before: object, after: object) -> JSON:
    """Say what becomes of `before` to make it `after`: node ids, edges, and each changed value by its path."""
    old, new = _graph(before), _graph(after)
    return {
        "nodes": {
            "added": [node_id for node_id in new.nodes if node_id not in old.nodes],
            "removed": [node_id for node_id in old.nodes if node_id not in new.nodes],
            "changed": list(_changed_nodes(old, new)),
        },
        "edges": {"added": _edges_missing(old, new), "removed": _edges_missing(new, old)},
        "settings": list(_changes(old.settings, new.settings)),
    }


def _graph(raw: object) -> Graph:
    graph, _ = read(raw)
    return graph or NOTHING


def _changed_nodes(old: Graph, new: Graph) -> Iterator[JSON]:
    for node_id, node in new.nodes.items():
        if node_id not in old.nodes:
            continue
        if fields := list(_changes(_meaning(old.nodes[node_id]), _meaning(node))):
            yield {"node_id": node_id, "fields": fields}


def _meaning(node: GraphNode) -> JSON:
    undo = node.compensation
    return {
        "type": node.type,
        "config": node.config,
        "join": node.join,
        "compensation": {"type": undo.type, "config": undo.config} if undo else None,
    }


def _edges_missing(here: Graph, there: Graph) -> list[JSON]:
    present = {_key(edge) for edge in here.edges}
    return [
        {"source": edge.source, "target": edge.target, "branch": edge.branch}
        for edge in there.edges
        if _key(edge) not in present
    ]


def _key(edge: Edge) -> tuple[str, str, str | None]:
    return edge.source, edge.target, edge.branch


# Objects are compared field by field, everything else as a whole.
def _changes(before: object, after: object, path: str = "") -> Iterator[JSON]:
    if isinstance(before, dict) and isinstance(after, dict):
        for field in [*before, *(field for field in after if field not in before)]:
            yield from _changes(before.get(field), after.get(field), f"{path}.{field}" if path else field)
    elif not _same(before, after):
        yield {"path": path, "before": before, "after": after}


# Python holds 1, 1.0 and True to be equal; JSON does not.
def _same(before: object, after: object) -> bool:
    return before == after and json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
