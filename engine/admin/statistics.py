"""The figures of a flow, on its page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from engine.analytics import nodes
from engine.analytics.period import DAYS, Period
from engine.analytics.summary import KINDS, summary
from flows.admin.flows import add_section
from flows.models import Flow

JSON = dict[str, Any]

TOTALS = ("active", "waiting", *KINDS)
NODE_TITLES = ("node", "reached", "entered", "completed", "waits now", "failed", "branches", "median", "95 %")


def show_statistics(flow: Flow) -> SafeString:
    """Show what happened in the last days, by version and by node."""
    period = Period.of()
    found = summary(flow, period)
    versions = (("all", found), *((each["version"], each) for each in found["by_version"]))
    totals = _table(("version", *TOTALS), ([name, *(each[kind] for kind in TOTALS)] for name, each in versions))
    converted = found["conversion"]
    low, high = converted["interval"]
    return format_html(
        "<p>The last {} days (UTC). Of {} who entered, {} reached a goal: {} % (95 %: {} to {}).</p>{}{}<p>{}</p>",
        DAYS,
        converted["entered"],
        converted["converted"],
        _percent(converted["rate"]),
        _percent(low),
        _percent(high),
        totals,
        _nodes(flow, period),
        _link(flow),
    )


def _nodes(flow: Flow, period: Period) -> SafeString:
    reached = {each["node_id"]: f"{each['reached']} ({each['percent']} %)" for each in nodes.funnel(flow, period)}
    return _table(NODE_TITLES, (_node(each, reached) for each in nodes.nodes(flow, period)))


def _node(node: JSON, reached: dict[str, str]) -> list[Any]:
    branches = ", ".join(f"{name}: {n}" for name, n in sorted(node["branches"].items()))
    counted = [node[kind] for kind in ("entered", "completed", "waiting", "failed")]
    times = [f"{node[name]:g} s" for name in ("p50_s", "p95_s")]
    return [node["node_id"], reached.get(node["node_id"], ""), *counted, branches, *times]


def _link(flow: Flow) -> SafeString:
    address = f"{reverse('admin:engine_flowstatistic_changelist')}?q={flow.pk}"
    return format_html('<a href="{}">By day</a>', address)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _table(titles: Iterable[str], rows: Iterable[Iterable[Any]]) -> SafeString:
    head = format_html_join("", "<th>{}</th>", ((title,) for title in titles))
    lines = ((format_html_join("", "<td>{}</td>", ((cell,) for cell in row)),) for row in rows)
    body = format_html_join("", "<tr>{}</tr>", lines)
    return format_html("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, body)


add_section("Statistics", show_statistics)
