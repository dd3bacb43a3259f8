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


# Each node is looked at once, however many messages lead to it.
def _in_a_row(graph: Graph, senders: Sequence[GraphNode], following: Edges) -> Iterator[Problem]:
    pending = [
        (node.id, target) for node in senders if not node.config.get("wait_for") for target in following[node.id]
    ]
    seen = set()
    while pending:
        first, node_id = pending.pop()
        node = graph.nodes[node_id]
        if node_id in seen or _waits(node):
            continue
        seen.add(node_id)
        if not node.type.startswith(PREFIX):
            pending += [(first, target) for target in following[node_id]]
            continue
        detail = f"`{node_id}` follows `{first}` with no wait between: both messages go out at once."
        yield Problem("send_without_wait", detail, f"graph.nodes.{node.index}", node_id, Severity.WARNING)


def _waits(node: GraphNode) -> bool:
    try:
        return registry.get(node.type).category is Category.WAIT
    except UnknownNodeType:
        return False


def _unasked(graph: Graph, senders: Sequence[GraphNode], following: Edges) -> Iterator[Problem]:
    asked = {channel: _after_gates(graph, channel, following) for channel in {_channel(node) for node in senders}}
    for node in senders:
        channel, config = _channel(node), node.config
        if config.get("message_class", "marketing") != "marketing" or config.get("topic") or node.id in asked[channel]:
            continue
        detail = (
            f"`{node.id}` sends marketing that nobody can opt out of by itself: give it a topic, or put a"
            f" preference_gate for {channel} before it."
        )
        yield Problem("no_preference", detail, f"graph.nodes.{node.index}.config.topic", node.id, Severity.WARNING)


def _channel(node: GraphNode) -> str:
    return node.type.removeprefix(PREFIX)


# Whatever a gate for the channel leads to.
def _after_gates(graph: Graph, channel: str, following: Edges) -> set[str]:
    pending = [node.id for node in graph.nodes.values() if node.type == GATE and node.config.get("channel") == channel]
    found: set[str] = set()
    while pending:
        fresh = set(following[pending.pop()]) - found
        found |= fresh
        pending += fresh
    return found
