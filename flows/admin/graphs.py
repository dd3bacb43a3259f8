"""A graph on a page: its nodes in order with where each leads, and what is wrong with it."""

from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from flows.admin import drawing
from flows.graph import walk
from flows.graph.model import Edge, Graph, read
from flows.publishing import Validation

TABLE = "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>"


def picture(raw: Any) -> SafeString:
    """Draw the graph, where it can be drawn."""
    graph, _ = read(raw)
    return format_html("{}", "") if graph is None else drawing.draw(graph)


def nodes(raw: Any) -> SafeString:
    """Draw the graph, and list the nodes in the order of the way through."""
    graph, _ = read(raw)
    if graph is None or not graph.nodes:
        return format_html("{}", "No nodes.")
    after = walk.outgoing(graph)
    rows = format_html_join(
        "",
        "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
        ((node_id, graph.nodes[node_id].type, "; ".join(map(_way, after[node_id]))) for node_id in _in_order(graph)),
    )
    return drawing.draw(graph) + _table(("node", "type", "leads to"), rows)


def problems(validation: Validation) -> SafeString:
    """List the problems, errors first."""
    found = [*validation.errors, *validation.warnings]
    if not found:
        return format_html("{}", "None: it can be published.")
    rows = format_html_join(
        "",
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        ((each.severity, each.node_id or "", each.code, each.detail) for each in found),
    )
    return _table(("", "node", "code", "detail"), rows)


def _table(titles: tuple[str, ...], rows: SafeString) -> SafeString:
    return format_html(TABLE, format_html_join("", "<th>{}</th>", ((title,) for title in titles)), rows)


def _way(edge: Edge) -> str:
    return f"{edge.branch} → {edge.target}" if edge.branch else edge.target


# Nodes on a cycle have no order, and come last as their author listed them.
def _in_order(graph: Graph) -> list[str]:
    ordered = walk.topological_order(graph)
    return [*ordered, *(node_id for node_id in graph.nodes if node_id not in set(ordered))]
