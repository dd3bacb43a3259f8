"""The rules of a well-formed graph, one function each; what types and configs mean is the engine's to check."""

import re
from collections.abc import Callable, Iterator

from flows.graph import walk
from flows.graph.model import Graph, GraphNode
from flows.graph.problems import Problem
from flows.graph.walk import CategoryOf

MAX_NODES = 1_000
MAX_EDGES = 5_000
VALID_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")

Rule = Callable[[Graph, CategoryOf], Iterator[Problem]]


def problems_of(graph: Graph, category_of: CategoryOf) -> Iterator[Problem]:
    """Give every problem that the rules find."""
    for rule in RULES:
        yield from rule(graph, category_of)


def is_not_too_large(graph: Graph, category_of: CategoryOf) -> Iterator[Problem]:
    """Nodes and edges stay within what an operator can oversee and the engine can compile."""
    for field, count, limit in (("nodes", len(graph.nodes), MAX_NODES), ("edges", len(graph.edges), MAX_EDGES)):
        if count > limit:
            yield Problem("too_large", f"The graph has {count} {field}; the limit is {limit}.", f"graph.{field}")


def ids_are_valid(graph: Graph, category_of: CategoryOf) -> Iterator[Problem]:
    """Ids are short and plain, since they stand in paths, keys and filters."""
    for node in graph.nodes.values():
        if not VALID_ID.fullmatch(node.id):
            yield _at(node, "invalid_id", "An id has 1 to 64 characters of A-Z a-z 0-9 _ . -", field="id")


def has_entry(graph: Graph, category_of: CategoryOf) -> Iterator[Problem]:
    """Somebody must be able to come in."""
    if not walk.entries(graph, category_of):
        yield Problem("no_entry", "The graph has no entry: add a trigger node such as `event_entry`.", "graph.nodes")


def entries_have_no_incoming(graph: Graph, category_of: CategoryOf) -> Iterator[Problem]:
    """A trigger only ever begins."""
    before = walk.predecessors(graph)
    for node in walk.entries(graph, category_of):
        if sources := before[node.id]:
            detail = f"The entry `{node.id}` cannot be led to; remove the edge from `{sources[0]}`."
            yield _at(node, "entry_has_incoming", detail)


def ends_have_no_outgoing(graph: Graph, category_of: CategoryOf) -> Iterator[Problem]:
    """Nothing follows an end."""
    after = walk.successors(graph)
    for node in graph.nodes.values():
        if category_of(node.type) == walk.END and (targets := after[node.id]):
            detail = f"The end `{node.id}` cannot lead on; remove the edge to `{targets[0]}`."
            yield _at(node, "end_has_outgoing", detail)


def has_no_cycle(graph: Graph, category_of: CategoryOf) -> Iterator[Problem]:
    """Every way comes to an end."""
    if path := walk.cycle(graph):
        detail = f"The graph goes round in a circle: {' → '.join(path)}."
        closing = next(edge for edge in graph.edges if (edge.source, edge.target) == (path[-2], path[-1]))
        yield Problem("cycle", detail, f"graph.edges.{closing.index}", path[0])


def all_nodes_are_reachable(graph: Graph, category_of: CategoryOf) -> Iterator[Problem]:
    """A node nobody can reach is a mistake of its author."""
    entries = walk.entries(graph, category_of)
    if not entries:
        return
    seen = walk.reachable(graph, (node.id for node in entries))
    for node in graph.nodes.values():
        if node.id not in seen:
            yield _at(node, "unreachable", f"No way leads from an entry to `{node.id}`.")


RULES: tuple[Rule, ...] = (
    is_not_too_large,
    ids_are_valid,
    has_entry,
    entries_have_no_incoming,
    ends_have_no_outgoing,
    has_no_cycle,
    all_nodes_are_reachable,
)


def _at(node: GraphNode, code: str, detail: str, *, field: str = "") -> Problem:
    return Problem(code, detail, f"graph.nodes.{node.index}{'.' if field else ''}{field}", node.id)
