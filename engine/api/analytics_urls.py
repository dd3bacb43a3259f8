"""The addresses of statistics."""

from engine.api.analytics import ABResultsView, FunnelView, NodesView, SummaryView
from tenants.api.routing import path

FLOW = "flows/<str:flow_id>"

urlpatterns = [
    path(f"{FLOW}/analytics/summary", SummaryView.as_view(), "flow-analytics-summary"),
    path(f"{FLOW}/analytics/nodes", NodesView.as_view(), "flow-analytics-nodes"),
    path(f"{FLOW}/analytics/funnel", FunnelView.as_view(), "flow-analytics-funnel"),
    path(f"{FLOW}/nodes/<str:node_id>/ab_results", ABResultsView.as_view(), "flow-node-ab-results"),
]
