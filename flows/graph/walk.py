"""Ways through a graph; each is linear in its nodes and edges."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from flows.graph.model import Edge, Graph, GraphNode

CategoryOf = Callable[[str], str | None]

TRIGGER, END = "trigger", "end"


def outgoing(graph: Graph) -> dict[str, list[Edge]]:
    """Give every node its edges out, in the author's order."""
    edges: dict[str, list[Edge]] = {node_id: [] for node_id in graph.nodes}
    for edge in graph.edges:
        edges[edge.source].append(edge)
    return edges


def incoming(graph: Graph) -> dict[str, list[Edge]]:
    """Give every node its edges in, in the author's order."""
    edges: dict[str, list[Edge]] = {node_id: [] for node_id in graph.nodes}
    for edge in graph.edges:
        edges[edge.target].append(edge)
    return edges


def successors(graph: Graph) -> dict[str, list[str]]:
    """Give every node the nodes right after it, each once."""
    return {node_id: list(dict.fromkeys(e.target for e in edges)) for node_id, edges in outgoing(graph).items()}


def predecessors(graph: Graph) -> dict[str, list[str]]:
    """Give every node the nodes right before it, each once."""
    return {node_id: list(dict.fromkeys(e.source for e in edges)) for node_id, edges in incoming(graph).items()}


def entries(graph: Graph, category_of: CategoryOf) -> list[GraphNode]:
    """Give the nodes where a participant can come in: those of a trigger type."""
    return [node for node in graph.nodes.values() if category_of(node.type) == TRIGGER]


def reachable(graph: Graph, starts: Iterable[str]) -> set[str]:
    """Give every node that can be reached from the starts, these included."""
    after = successors(graph)
    seen = set(starts)
    todo = list(seen)
    while todo:
        fresh = [node_id for node_id in after[todo.pop()] if node_id not in seen]
        seen.update(fresh)
        todo.extend(fresh)
    return seen


def topological_order(graph: Graph) -> list[str]:
    """Give the nodes so that each comes after all before it; nodes on or behind a cycle are missing."""
    after, before = successors(graph), predecessors(graph)
    open_edges = {node_id: len(sources) for node_id, sources in before.items()}
    ready = deque(node_id for node_id, count in open_edges.items() if count == 0)
    order: list[str] = []
    while ready:
        order.append(node_id := ready.popleft())
        for target in after[node_id]:
            open_edges[target] -= 1
            if open_edges[target] == 0:
                ready.append(target)
    return order


def cycle(graph: Graph) -> list[str]:
    """Give the path of one cycle, its first node again at the end; empty when there is none."""
    after = successors(graph)
    done: set[str] = set()
    for start in graph.nodes:
        if start not in done and (path := _cycle_from(start, after, done)):
            return path
    return []


def _cycle_from(start: str, after: dict[str, list[str]], done: set[str]) -> list[str]:
    # Depth first without recursion: a chain of a thousand nodes must not meet Python's limit.
    path = {start: None}
    stack: list[Iterator[str]] = [iter(after[start])]
    while stack:
        node_id = next(stack[-1], None)
        if node_id is None:
            stack.pop()
            done.add(path.popitem()[0])
        elif node_id in path:
            walked = list(path)
            return [*walked[walked.index(node_id) :], node_id]
        elif node_id not in done:
            path[node_id] = None
            stack.append(iter(after[node_id]))
    return []
