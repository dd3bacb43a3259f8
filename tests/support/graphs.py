"""Small graphs, written down as a reader thinks of them."""

from __future__ import annotations

from typing import Any

ENTRY = ("event_entry", {"event_type": "signed_up"})


def graph(nodes: dict[str, tuple[Any, ...]], **settings: Any) -> dict[str, Any]:
    """
    Make a graph from `{id: (type, config, {branch: target or [targets]})}`; a fourth part is more keys of the node
    (`join`).

    The branch None is the only one.
    """
    return {
        "settings": settings,
        "nodes": [
            {"id": node_id, "type": parts[0], "config": parts[1], **(parts[3] if len(parts) > 3 else {})}
            for node_id, parts in nodes.items()
        ],
        "edges": [
            {"source": node_id, "target": target, "branch": branch}
            for node_id, parts in nodes.items()
            if len(parts) > 2
            for branch, targets in parts[2].items()
            for target in ([targets] if isinstance(targets, str) else targets)
        ],
    }


def chain(length: int, **settings: Any) -> dict[str, Any]:
    """An entry, so many conditions that match everything, an exit."""
    names = [f"n{i}" for i in range(length)]
    nodes: dict[str, tuple[Any, ...]] = {"entry": (*ENTRY, {None: names[0]})}
    for name, following in zip(names, [*names[1:], "done"], strict=True):
        nodes[name] = ("condition", {}, {"true": following, "false": "done"})
    nodes["done"] = ("exit", {"reason": "through"})
    return graph(nodes, **settings)
