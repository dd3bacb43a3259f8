"""The addresses of what operators do: to runs, side effects, jobs and schedules."""

from engine.api.instances import (
    CancelView,
    CompensateView,
    PauseInstanceView,
    ResumeInstanceView,
    RetryView,
    StoredEventsView,
    TimelineView,
    WhyView,
)
from tenants.api.routing import path

INSTANCE = "instances/<str:instance_id>"

urlpatterns = [
    path(f"{INSTANCE}/timeline", TimelineView.as_view(), "instance-timeline"),
    path(f"{INSTANCE}/events", StoredEventsView.as_view(), "instance-events"),
    path(f"{INSTANCE}/why", WhyView.as_view(), "instance-why"),
    path(f"{INSTANCE}/cancel", CancelView.as_view(), "instance-cancel"),
    path(f"{INSTANCE}/pause", PauseInstanceView.as_view(), "instance-pause"),
    path(f"{INSTANCE}/resume", ResumeInstanceView.as_view(), "instance-resume"),
    path(f"{INSTANCE}/retry", RetryView.as_view(), "instance-retry"),
    path(f"{INSTANCE}/compensate", CompensateView.as_view(), "instance-compensate"),
]
