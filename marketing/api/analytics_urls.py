"""The addresses of figures of marketing, and of conversions."""

from marketing.api.analytics import (
    ChannelsView,
    ConversionsView,
    FlowChannelsView,
    FlowConversionsView,
    FlowMessagesView,
)
from tenants.api.routing import path

FLOW = "flows/<str:flow_id>/analytics"

urlpatterns = [
    path("analytics/channels", ChannelsView.as_view(), "analytics-channels"),
    path(f"{FLOW}/channels", FlowChannelsView.as_view(), "flow-analytics-channels"),
    path(f"{FLOW}/messages", FlowMessagesView.as_view(), "flow-analytics-messages"),
    path(f"{FLOW}/conversions", FlowConversionsView.as_view(), "flow-analytics-conversions"),
    path("conversions", ConversionsView.as_view(), "conversions"),
]
