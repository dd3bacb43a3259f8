"""What publishing checks of messages: that each wording fits its channel, and that its variables will be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flows.graph.model import Graph, GraphNode
from flows.graph.problems import Problem
from marketing.templates import content as wordings
from marketing.templates import store, variables
from marketing.templates.content import PARTS, Content
from marketing.templates.errors import Finding
from tenants.models import Tenant

PREFIX: Final = "send_"


def messages_can_be_written(graph: Graph, tenant: Tenant) -> Iterator[Problem]:
    """Give every problem of the wordings that a graph sends; templates that are missing are told of elsewhere."""
    senders = [node for node in graph.nodes.values() if _channel(node) in PARTS]
    named = {slug for node in senders if isinstance(slug := node.config.get("template_id"), str)}
    stored = store.find_many(tenant.pk, named) if named else {}
    for node in senders:
        yield from _stored(node, stored)
        yield from _inline(node)


def _stored(node: GraphNode, stored: Mapping[str, Content]) -> Iterator[Problem]:
    content = stored.get(str(node.config.get("template_id")))
    if content is None:
        return
    at = f"graph.nodes.{node.index}.config.template_id"
    if content.channel != _channel(node):
        detail = f"`{content.template_id}` is a message by {content.channel}, and this node sends by {_channel(node)}."
        yield Problem("wrong_channel", detail, at, node.id)
    for found in variables.unknown_variables(content, _given(node)):
        detail = f"`{content.template_id}`, {_place(found)}: {found.detail}"
        yield Problem(found.code, detail, at, node.id)


def _inline(node: GraphNode) -> Iterator[Problem]:
    parts, locales = node.config.get("content"), node.config.get("locales") or {}
    if not isinstance(parts, dict) or not _are_parts(locales):
        return
    content = Content(_channel(node), parts, locales)
    found = wordings.flaws(content)
    found += variables.unknown_filters(content) + variables.unknown_variables(content, _given(node))
    for each in found:
        yield Problem(each.code, each.sentence(), f"graph.nodes.{node.index}.config.{each.attr}", node.id)


def _channel(node: GraphNode) -> str:
    return node.type.removeprefix(PREFIX) if node.type.startswith(PREFIX) else ""


def _given(node: GraphNode) -> set[str]:
    given = node.config.get("vars")
    return set(given) if isinstance(given, dict) else set()


def _are_parts(locales: Any) -> bool:
    return isinstance(locales, dict) and all(isinstance(parts, dict) for parts in locales.values())


def _place(found: Finding) -> str:
    return found.attr if found.line is None else f"{found.attr} line {found.line}"
