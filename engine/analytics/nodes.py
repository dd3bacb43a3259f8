"""The nodes of a flow in figures, and how far those who entered came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from engine.analytics import counts, durations
from engine.analytics.period import Period
from engine.connections import execute
from engine.models.statistics import CohortStatistic, NodeStatistic
from flows.graph import model as graphs
from flows.graph.model import GraphNode
from flows.models import Flow, FlowVersion
from flows.models.instance import LIVE

JSON = dict[str, Any]

# Where the runs of a flow wait now.
WAITING = """
    SELECT token->>'node_id', count(*) FROM flow_instances i CROSS JOIN jsonb_array_elements(i.current_nodes) AS token
     WHERE i.flow_id = %(flow)s AND i.status = ANY(%(live)s) AND token->>'status' = 'waiting'
       AND (%(version)s::int IS NULL
            OR i.version_id IN (SELECT id FROM flow_versions WHERE flow_id = %(flow)s AND number = %(version)s))
     GROUP BY 1
"""


def nodes(flow: Flow, period: Period, version: int | None = None) -> list[JSON]:
    """Give the figures of each node: those of the version, or of the one that runs, then others that have any."""
    found, branches, took = Counter[Any](), dict[str, dict[str, int]](), dict[str, dict[int, int]]()
    for node, kind, key, n in counts.totals(NodeStatistic, flow, period, version, "node_id", "kind", "key"):
        if kind == "branch":
            branches.setdefault(node, {})[key] = n
        elif kind == "took":
            took.setdefault(node, {})[int(key)] = n
        else:
            found[node, kind] += n
    live = [status.value for status in LIVE]
    waiting = dict(execute(WAITING, {"flow": flow.pk, "live": live, "version": version}))
    known = dict.fromkeys((*nodes_of(flow, version), *sorted({node for node, _ in found} | waiting.keys())))
    return [
        {
            "node_id": node,
            **{kind: found[node, kind] for kind in ("entered", "completed", "failed")},
            "waiting": waiting.get(node, 0),
            "branches": branches.get(node, {}),
            "p50_s": durations.quantile(took.get(node, {}), 0.5),
            "p95_s": durations.quantile(took.get(node, {}), 0.95),
        }
        for node in known
    ]


def funnel(flow: Flow, period: Period, version: int | None = None, node_ids: Sequence[str] = ()) -> list[JSON]:
    """
    Tell how many of those who entered in a period have reached each node since, and the percentage that they are.

    Without nodes, all of the version, or of the one that runs.
    """
    found = Counter[tuple[str, str]]()
    for kind, node, n in counts.totals(CohortStatistic, flow, period, version, "kind", "node_id", key="", goal=""):
        found[kind, node] += n
    entered = found["entered", ""]
    return [
        {
            "node_id": node,
            "reached": found["reached", node],
            "percent": round(100 * found["reached", node] / entered, 2) if entered else 0.0,
        }
        for node in node_ids or nodes_of(flow, version)
    ]


def nodes_of(flow: Flow, version: int | None = None) -> dict[str, GraphNode]:
    """Give the nodes of a version, of the active one without it, else of the newest; none where it has none."""
    rows = FlowVersion.objects.filter(tenant_id=flow.tenant_id, flow=flow).order_by("-number")
    if version is not None:
        rows = rows.filter(number=version)
    elif flow.active_version_id is not None:
        rows = rows.filter(pk=flow.active_version_id)
    newest = rows.first()
    return dict(graphs.parse(newest.graph).nodes) if newest else {}


def find(flow: Flow, node_ids: Iterable[str]) -> dict[str, GraphNode]:
    """Give those of these nodes that any version has, each as the newest version with it has it."""
    missing, found = set(node_ids), dict[str, GraphNode]()
    versions = FlowVersion.objects.filter(tenant_id=flow.tenant_id, flow=flow).order_by("-number")
    for version in versions.iterator(chunk_size=1):
        if not missing:
            break
        has = graphs.parse(version.graph).nodes
        found |= {node: has[node] for node in missing & has.keys()}
        missing -= has.keys()
    return found
