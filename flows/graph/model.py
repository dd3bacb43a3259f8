"""A graph as frozen values, read from the JSON that authors write."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flows.graph import storable
from flows.graph.problems import NotAGraph, Problem

JSON = dict[str, Any]

ROOT_FIELDS = frozenset({"settings", "nodes", "edges", "key", "name", "description"})
NODE_FIELDS = frozenset({"id", "type", "config", "position", "join", "compensation"})
EDGE_FIELDS = frozenset({"source", "target", "branch"})
COMPENSATION_FIELDS = frozenset({"type", "config"})
JOINS = ("any", "all")


@dataclass(frozen=True, slots=True)
class Compensation:
    """What undoes a node: another node's type and config."""

    type: str
    config: JSON


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One node; `index` is its place in the author's list."""

    id: str
    type: str
    config: JSON
    join: str = "any"
    compensation: Compensation | None = None
    position: JSON | None = None
    index: int = 0


@dataclass(frozen=True, slots=True)
class Edge:
    """One way from a node to another; `branch` None is the node's only outcome."""

    source: str
    target: str
    branch: str | None = None
    index: int = 0


@dataclass(frozen=True, slots=True)
class Graph:
    """What a version does. Every edge joins two nodes of the graph; what did not was left out, and is a problem."""

    settings: JSON
    nodes: Mapping[str, GraphNode]
    edges: tuple[Edge, ...]


def parse(raw: object) -> Graph:
    """Read a graph for running or comparing it; problems that leave it a graph are passed over."""
    graph, problems = read(raw)
    if graph is None:
        raise NotAGraph(problems)
    return graph


def read(raw: object) -> tuple[Graph | None, list[Problem]]:
    """Read whatever was sent, with every problem of its shape; the graph is None when it is none at all."""
    if problems := list(storable.problems_of(raw)) or _not_a_graph(raw):
        return None, problems
    assert isinstance(raw, dict)
    reading = _Reading([])
    reading.unknown_fields(raw, ROOT_FIELDS, at="graph")
    settings = reading.typed_object(raw.get("settings"), at="graph.settings")
    nodes = reading.nodes(raw["nodes"])
    edges = reading.edges(raw.get("edges") or [], nodes)
    return Graph(settings=settings, nodes=nodes, edges=edges), reading.problems


def _not_a_graph(raw: object) -> list[Problem]:
    # The few faults that leave nothing to talk about; a graph that is merely unfinished has none of them.
    if not isinstance(raw, dict):
        return [Problem("not_a_graph", "A graph is an object with `nodes` and `edges`.")]
    problems: list[Problem] = []
    for field in ("nodes", "edges"):
        items = raw.get(field)
        if items is None and field == "edges":
            continue
        if not isinstance(items, list):
            problems.append(Problem("not_a_graph", f"`{field}` must be a list of objects.", f"graph.{field}"))
            continue
        problems += (
            Problem("not_a_graph", f"Each of `{field}` must be an object.", f"graph.{field}.{index}")
            for index, item in enumerate(items)
            if not isinstance(item, dict)
        )
    return problems


@dataclass(frozen=True, slots=True)
class _Reading:
    # One pass over the author's JSON; what cannot be used is reported and left out.
    problems: list[Problem]

    def report(self, code: str, detail: str, at: str, node_id: object = None) -> None:
        self.problems.append(Problem(code, detail, at, node_id if isinstance(node_id, str) else None))

    def unknown_fields(self, item: JSON, known: frozenset[str], *, at: str, node_id: object = None) -> None:
        if item.keys() <= known:
            return
        for field in item:
            if field not in known:
                detail = f"`{field}` is not a field here; known are {', '.join(sorted(known))}."
                self.report("unknown_field", detail, f"{at}.{field}", node_id)

    def typed_object(self, value: object, *, at: str, node_id: object = None) -> JSON:
        if isinstance(value, dict):
            return value
        if value is not None:
            self.report("wrong_type", f"`{at.rpartition('.')[2]}` must be an object.", at, node_id)
        return {}

    def typed_name(self, value: object, *, at: str, node_id: object = None) -> str:
        if isinstance(value, str) and value:
            return value
        self.report("wrong_type", "`type` must name a node type.", at, node_id)
        return ""

    def nodes(self, items: list[JSON]) -> dict[str, GraphNode]:
        nodes: dict[str, GraphNode] = {}
        for index, item in enumerate(items):
            at, node_id = f"graph.nodes.{index}", item.get("id")
            self.unknown_fields(item, NODE_FIELDS, at=at, node_id=node_id)
            node = GraphNode(
                id=node_id if isinstance(node_id, str) else "",
                type=self.typed_name(item.get("type"), at=f"{at}.type", node_id=node_id),
                config=self.typed_object(item.get("config"), at=f"{at}.config", node_id=node_id),
                join=self.join(item, at=at),
                compensation=self.compensation(item, at=at),
                position=self.typed_object(item.get("position"), at=f"{at}.position", node_id=node_id) or None,
                index=index,
            )
            if not isinstance(node_id, str):
                self.report("invalid_id", "A node needs an `id`, a text of 1 to 64 characters.", f"{at}.id")
            elif node_id in nodes:
                self.report("duplicate_id", f"The id `{node_id}` is taken by an earlier node.", f"{at}.id", node_id)
            else:
                nodes[node_id] = node
        return nodes

    def join(self, item: JSON, *, at: str) -> str:
        join = item.get("join")
        if join is None or join in JOINS:
            return join or "any"
        self.report("invalid_join", "`join` is `any` or `all`.", f"{at}.join", item.get("id"))
        return "any"

    def compensation(self, item: JSON, *, at: str) -> Compensation | None:
        raw, node_id, at = item.get("compensation"), item.get("id"), f"{at}.compensation"
        if raw is None:
            return None
        found = self.typed_object(raw, at=at, node_id=node_id)
        if not isinstance(raw, dict):
            return None
        self.unknown_fields(found, COMPENSATION_FIELDS, at=at, node_id=node_id)
        return Compensation(
            type=self.typed_name(found.get("type"), at=f"{at}.type", node_id=node_id),
            config=self.typed_object(found.get("config"), at=f"{at}.config", node_id=node_id),
        )

    def edges(self, items: list[JSON], nodes: Mapping[str, GraphNode]) -> tuple[Edge, ...]:
        edges: dict[tuple[str, str, str | None], Edge] = {}
        for index, item in enumerate(items):
            self.unknown_fields(item, EDGE_FIELDS, at=f"graph.edges.{index}", node_id=item.get("source"))
            edge = self.edge(item, nodes, index=index)
            if edge is None:
                continue
            if (key := (edge.source, edge.target, edge.branch)) in edges:
                detail = f"The edge {edge.source} → {edge.target} is there twice for the same branch."
                self.report("duplicate_edge", detail, f"graph.edges.{index}", edge.source)
            else:
                edges[key] = edge
        return tuple(edges.values())

    def edge(self, item: JSON, nodes: Mapping[str, GraphNode], *, index: int) -> Edge | None:
        at = f"graph.edges.{index}"
        source, target, branch = item.get("source"), item.get("target"), item.get("branch")
        if branch is not None and not isinstance(branch, str):
            self.report("wrong_type", '`branch` must be a text, such as "true", or null.', f"{at}.branch", source)
            return None
        if not isinstance(source, str) or source not in nodes:
            self.report("unknown_source", f"No node has the id {source!r}.", f"{at}.source", target)
            return None
        if not isinstance(target, str) or target not in nodes:
            self.report("unknown_target", f"No node has the id {target!r}.", f"{at}.target", source)
            return None
        return Edge(source=source, target=target, branch=branch, index=index)
