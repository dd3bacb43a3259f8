"""The figures of a flow, on its page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from engine.analytics import experiments, nodes
from engine.analytics.node_statistics import SPLIT
from engine.analytics.period import DAYS, Period
from engine.analytics.summary import KINDS, summary
from flows.admin.flows import add_section
from flows.models import Flow

JSON = dict[str, Any]

UNITS = (("d", 86_400), ("h", 3600), ("min", 60))
TOTALS = ("active", "waiting", *KINDS)
VARIANT_TITLES = ("split", "variant", "participants", "conversions", "rate (95 %)", "p", "")
GROUP_TITLES = ("group", "participants", "converted", "rate (95 %)", "p")
NODE_TITLES = ("node", "reached", "entered", "completed", "waits now", "failed", "branches", "median", "95 %")


def show_statistics(flow: Flow) -> SafeString:
    """Show what happened in the last days, by version and by node."""
    period = Period.of()
    found = summary(flow, period)
    versions = (("all", found), *((each["version"], each) for each in found["by_version"]))
    totals = table(("version", *TOTALS), ([name, *(each[kind] for kind in TOTALS)] for name, each in versions))
    converted = found["conversion"]
    low, high = converted["interval"]
    return format_html(
        "<p>The last {} days (UTC). Of {} who entered, {} reached a goal: {} % (95 %: {} to {}).</p>{}{}{}{}<p>{}</p>",
        DAYS,
        converted["entered"],
        converted["converted"],
        percent(converted["rate"]),
        percent(low),
        percent(high),
        totals,
        _holdout(found["holdout"]),
        _nodes(flow, period),
        _experiments(flow, period),
        _link(flow),
    )


def _nodes(flow: Flow, period: Period) -> SafeString:
    reached = {each["node_id"]: f"{each['reached']} ({each['percent']} %)" for each in nodes.funnel(flow, period)}
    return table(NODE_TITLES, (_node(each, reached) for each in nodes.nodes(flow, period)))


def _node(node: JSON, reached: dict[str, str]) -> list[Any]:
    branches = ", ".join(f"{name}: {n}" for name, n in sorted(node["branches"].items()))
    counted = [node[kind] for kind in ("entered", "completed", "waiting", "failed")]
    times = [lasting(node[name]) for name in ("p50_s", "p95_s")]
    return [node["node_id"], reached.get(node["node_id"], ""), *counted, branches, *times]


def _holdout(found: JSON | None) -> SafeString:
    if found is None:
        return format_html("{}", "")
    groups = (("went through", found["treated"], f"{found['p_value']:.4f}"), ("kept out", found["kept_out"], ""))
    return table(GROUP_TITLES, (_group(*each) for each in groups))


def _group(title: str, group: JSON, p_value: str) -> list[Any]:
    low, high = group["interval"]
    rate = f"{percent(group['rate'])} % ({percent(low)} to {percent(high)})"
    return [title, group["participants"], group["converted"], rate, p_value]


def _experiments(flow: Flow, period: Period) -> SafeString:
    splits = [node for node in nodes.nodes_of(flow).values() if node.type == SPLIT]
    found = ((node.id, experiments.results(flow, node, period)) for node in splits)
    shown = ((table(VARIANT_TITLES, (_variant(node, each) for each in results)),) for node, results in found)
    return format_html_join("", "{}", shown)


def _variant(node: str, result: JSON) -> list[Any]:
    low, high = result["interval"]
    rate = f"{percent(result['rate'])} % ({percent(low)} to {percent(high)})"
    counted = (result["participants"], result["conversions"])
    return [node, result["variant"], *counted, rate, f"{result['p_value']:.4f}", "winner" if result["winner"] else ""]


def _link(flow: Flow) -> SafeString:
    address = f"{reverse('admin:engine_flowstatistic_changelist')}?q={flow.pk}"
    return format_html('<a href="{}">By day</a>', address)


def lasting(seconds: float) -> str:
    """Write how long something took as people read it."""
    for unit, length in UNITS:
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:g} s"


def percent(share: float) -> str:
    """Write a share as people read it."""
    return f"{100 * share:.1f}"


# The admin cuts off what is wider than its page; a table of many columns is scrolled instead.
NOTHING = "Nothing yet"
TABLE = '<div class="scrolled"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'


def table(titles: Iterable[str], rows: Iterable[Iterable[Any]]) -> SafeString:
    """Show rows below their titles, if there are any."""
    head = format_html_join("", "<th>{}</th>", ((title,) for title in titles))
    lines = ((format_html_join("", "<td>{}</td>", ((cell,) for cell in row)),) for row in rows)
    body = format_html_join("", "<tr>{}</tr>", lines)
    return format_html(TABLE, head, body) if body else format_html("<p>{}.</p>", NOTHING)


add_section("Statistics", show_statistics)
