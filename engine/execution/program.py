"""A version's graph, compiled once per process: what the executor asks of a node, without parsing anything."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from engine.execution.policy import policy_of
from engine.graph_settings import Settings, parse_settings
from engine.message_caps import Cap
from engine.nodes import registry
from engine.nodes.base import Category, Need, Node, RunsAs
from engine.nodes.errors import InvalidConfig, UnknownNodeType
from engine.nodes.save_as import aliases_of
from flows.graph import model
from flows.models import FlowVersion
from tenants.models import Tenant

logger = logging.getLogger(__name__)

ZONE_FOR_S = 60.0


@dataclass(frozen=True, slots=True)
class CompiledNode:
    """One node of a graph: its type, its parsed config, and where each branch leads: (target, its type)."""

    id: str
    type: str
    node: Node | None
    config: Any
    trouble: str
    edges: dict[str | None, tuple[tuple[str, str], ...]]
    joins_all: bool
    reaches: frozenset[str]
    is_end: bool
    is_activity: bool
    policy: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled version."""

    version_id: str
    version: int
    settings: Settings
    nodes: dict[str, CompiledNode]
    needs: frozenset[Need] = field(default_factory=frozenset)
    aliases: dict[str, str] = field(default_factory=dict)
    entries: tuple[str, ...] = ()
    segments: frozenset[str] = frozenset()
    caps: dict[str, Cap] = field(default_factory=dict)

    def can_reach(self, source: str, target: str) -> bool:
        """Whether a token at source may still come to target."""
        return source in self.nodes and target in self.nodes[source].reaches


def compile_graph(raw: dict[str, Any], *, version_id: str = "", version: int = 0) -> Program:
    """Compile a graph that was valid when published; a type that has gone since fails who meets it."""
    graph = model.parse(raw)
    targets: dict[str, dict[str | None, list[str]]] = {node_id: {} for node_id in graph.nodes}
    for edge in graph.edges:
        targets[edge.source].setdefault(edge.branch, []).append(edge.target)
    reaches = _reachable({source: [t for ends in by.values() for t in ends] for source, by in targets.items()})
    types = {node_id: node.type for node_id, node in graph.nodes.items()}
    nodes = {
        node_id: _compile_node(node, targets[node_id], types, reaches[node_id]) for node_id, node in graph.nodes.items()
    }
    needs = {need for each in nodes.values() if each.node for need in each.node.needs_of(each.config)}
    aliases = aliases_of({node_id: each.config for node_id, each in nodes.items()})
    entries = tuple(each.id for each in nodes.values() if each.node and each.node.category is Category.TRIGGER)
    settings, segments = parse_settings(graph.settings), frozenset(_segments_of(nodes.values()))
    caps = {key: cap for key, each in nodes.items() if each.node and (cap := each.node.cap_of(each.config))}
    return Program(version_id, version, settings, nodes, frozenset(needs), aliases, entries, segments, caps)


@lru_cache(maxsize=512)
def of_version(version_id: str) -> Program:
    """
    Give the program of a published version, whose graph never changes: compiled once per process.

    One that cannot be compiled any more (a plug-in's fault) is empty, so that it fails its own runs and nobody else's.
    """
    version = FlowVersion.objects.only("graph", "number").get(pk=version_id)
    try:
        return compile_graph(version.graph, version_id=version_id, version=version.number)
    except Exception:
        logger.exception("version.unusable", extra={"version": version_id})
        return Program(version_id, version.number, parse_settings({}), {})


def zone_of(compiled: Program, tenant_id: str) -> str:
    """Name the zone of participants who have none: the flow's, else the tenant's."""
    return compiled.settings.default_timezone or _tenants_zone(tenant_id, int(time.monotonic() // ZONE_FOR_S))


# Looked up again in every span of ZONE_FOR_S: unlike a graph, it may change.
@lru_cache(maxsize=1024)
def _tenants_zone(tenant_id: str, _span: int) -> str:
    return str(Tenant.objects.values_list("timezone", flat=True).get(pk=tenant_id))


# Whose membership the nodes want to know; a trigger's has told itself.
def _segments_of(nodes: Iterable[CompiledNode]) -> Iterator[str]:
    for each in nodes:
        if each.node is not None and Need.SEGMENTS in each.node.needs_of(each.config):
            yield from (found.name for found in each.node.references_of(each.config) if found.kind == "segment")


def _compile_node(
    raw: model.GraphNode, targets: dict[str | None, list[str]], types: dict[str, str], reaches: frozenset[str]
) -> CompiledNode:
    node, config, trouble = None, None, ""
    try:
        node = registry.get(raw.type)
        config = registry.parse_config(raw.type, raw.config)
    except (UnknownNodeType, InvalidConfig) as problem:
        node, trouble = None, str(problem)
    return CompiledNode(
        id=raw.id,
        type=raw.type,
        node=node,
        config=config,
        trouble=trouble,
        edges={branch: tuple((end, types[end]) for end in ends) for branch, ends in targets.items()},
        joins_all=raw.join == "all",
        reaches=reaches,
        is_end=node is not None and node.category is Category.END,
        is_activity=node is not None and node.runs_as is RunsAs.ACTIVITY,
        policy=policy_of(node, config) if node is not None else {},
    )


# Depth first over a DAG; a node's set is the union of its successors' sets and themselves.
def _reachable(successors: dict[str, list[str]]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for root in successors:
        stack = [root]
        while stack:
            here = stack[-1]
            missing = [s for s in successors.get(here, ()) if s not in found]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            found[here] = frozenset(successors.get(here, ())).union(*(found[s] for s in successors.get(here, ())))
    return found
