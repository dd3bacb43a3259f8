"""The addresses of starts, events, webhooks and node types."""

from engine.api import analytics_urls, control_urls
from engine.api.events import EventBatchView, EventsView, EventView
from engine.api.node_types import NodeTypesView
from engine.api.rehearsals import SimulateView
from engine.api.trigger import TriggerView
from engine.api.webhooks import WebhookView
from tenants.api.routing import path

urlpatterns = [
    path("flows/<str:flow_id>/trigger", TriggerView.as_view(), "flow-trigger"),
    path("flows/<str:flow_id>/versions/<int:number>/simulate", SimulateView.as_view(), "version-simulate"),
    path("events", EventsView.as_view(), "events"),
    path("events/batch", EventBatchView.as_view(), "event-batch"),
    path("events/<path:event_id>", EventView.as_view(), "event"),
    path("webhooks/<str:flow_id>/<str:webhook_path>", WebhookView.as_view(), "webhook"),
    path("node_types", NodeTypesView.as_view(), "node-types"),
    *control_urls.urlpatterns,
    *analytics_urls.urlpatterns,
]
