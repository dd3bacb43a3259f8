"""What publishing tells an author of the messages of a graph, without forbidding it: what their readers might mind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from engine.nodes import registry
from engine.nodes.base import Category
from engine.nodes.errors import UnknownNodeType
from flows.graph.model import Graph, GraphNode
from flows.graph.problems import Problem, Severity
from tenants.models import Tenant

PREFIX: Final = "send_"
GATE: Final = "preference_gate"

Edges = Mapping[str, Sequence[str]]


def messages_are_kind(graph: Graph, tenant: Tenant) -> Iterator[Problem]:
    """Warn of messages that follow each other at once, and of marketing that nobody was asked about."""
    senders = [node for node in graph.nodes.values() if node.type.startswith(PREFIX)]
    if not senders:
        return
    following: dict[str, list[str]] = defaultdict(list)
    for edge in graph.edges:
        following[edge.source].append(edge.target)
    yield from _in_a_row(graph, senders, following)
    yield from _unasked(graph, senders, following)


def _in_a_row(graph: Graph, senders: Sequence[GraphNode], following: Edges) -> Iterator[Problem]:
    told = set()
    for first in senders:
        if first.config.get("wait_for"):
            continue
        for node_id in _reached(graph, first.id, following):
            node = graph.nodes[node_id]
            if node.type.startswith(PREFIX) and node_id not in told:
                told.add(node_id)
                detail = f"`{node_id}` follows `{first.id}` with no wait between: both messages go out at once."
                at = f"graph.nodes.{node.index}"
                yield Problem("send_without_wait", detail, at, node_id, Severity.WARNING)


# Where a run comes to from a node without waiting; the next message is as far as anybody has to look.
def _reached(graph: Graph, start: str, following: Edges) -> list[str]:
    found: dict[str, None] = {}
    pending = list(following.get(start, ()))
    while pending:
        node_id = pending.pop()
        if node_id in found or _waits(graph.nodes[node_id]):
            continue
        found[node_id] = None
        if not graph.nodes[node_id].type.startswith(PREFIX):
            pending += following.get(node_id, ())
    return list(found)


def _waits(node: GraphNode) -> bool:
    try:
        return registry.get(node.type).category is Category.WAIT
    except UnknownNodeType:
        return False


def _unasked(graph: Graph, senders: Sequence[GraphNode], following: Edges) -> Iterator[Problem]:
    gates = [node for node in graph.nodes.values() if node.type == GATE]
    for node in senders:
        channel = node.type.removeprefix(PREFIX)
        if node.config.get("message_class", "marketing") != "marketing" or node.config.get("topic"):
            continue
        if not any(gate.config.get("channel") == channel and _leads(gate.id, node.id, following) for gate in gates):
            detail = (
                f"`{node.id}` sends marketing that nobody can opt out of by itself: give it a topic, or put a"
                f" preference_gate for {channel} before it."
            )
            yield Problem("no_preference", detail, f"graph.nodes.{node.index}.config.topic", node.id, Severity.WARNING)


def _leads(source: str, target: str, following: Edges) -> bool:
    seen, pending = {source}, [source]
    while pending:
        for node_id in following.get(pending.pop(), ()):
            if node_id == target:
                return True
            if node_id not in seen:
                seen.add(node_id)
                pending.append(node_id)
    return False
