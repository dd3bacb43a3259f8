"""Small graphs to write tests with."""

from itertools import pairwise
from typing import Any

CATEGORIES = {"event_entry": "trigger", "wait": "wait", "condition": "condition", "exit": "end"}


def category_of(node_type: str) -> str | None:
    """Tell the category of the few types that these tests use."""
    return CATEGORIES.get(node_type)


def node(node_id: str, node_type: str = "wait", **rest: Any) -> dict[str, Any]:
    """One node; a wait of a day unless told otherwise."""
    config = {"event_entry": {"event_type": "signed_up"}, "wait": {"duration": "1d"}, "exit": {"reason": "done"}}
    return {"id": node_id, "type": node_type, "config": config.get(node_type, {}), **rest}


def edge(source: str, target: str, branch: str | None = None) -> dict[str, Any]:
    """One edge."""
    return {"source": source, "target": target, "branch": branch}


def graph(*nodes: dict[str, Any], edges: list[dict[str, Any]], **rest: Any) -> dict[str, Any]:
    """Nodes and edges."""
    return {"nodes": list(nodes), "edges": edges, **rest}


def line(*middle: str, **settings: Any) -> dict[str, Any]:
    """An entry, waits with these ids, and an exit, one after the other; valid by every rule."""
    ids = ["entry", *(middle or ("pause",)), "end"]
    types = ["event_entry", *("wait" for _ in ids[1:-1]), "exit"]
    return graph(
        *(node(node_id, node_type) for node_id, node_type in zip(ids, types, strict=True)),
        edges=[edge(source, target) for source, target in pairwise(ids)],
        settings=settings,
    )
