"""The addresses of what operators do: to runs, side effects, jobs and schedules."""

from engine.api.activities import (
    ActivitiesView,
    ActivityBulkView,
    ActivityCompleteView,
    ActivityFailView,
    ActivityRetryView,
)
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
from engine.api.jobs import InstanceBulkView, JobCancelView, JobView
from engine.api.sagas import CancelSagaView, ResumeSagaView, SagasView, SagaView
from engine.api.schedules import SchedulesView, ScheduleView
from engine.api.state import InstanceStateView
from tenants.api.routing import path

INSTANCE = "instances/<str:instance_id>"

ACTIVITY = "activities/<str:activity_id>"

urlpatterns = [
    path("instances/bulk", InstanceBulkView.as_view(), "instance-bulk"),
    path("jobs/<str:job_id>", JobView.as_view(), "job"),
    path("jobs/<str:job_id>/cancel", JobCancelView.as_view(), "job-cancel"),
    path("flows/<str:flow_id>/schedules", SchedulesView.as_view(), "flow-schedules"),
    path("sagas", SagasView.as_view(), "sagas"),
    path("sagas/<str:saga_id>", SagaView.as_view(), "saga"),
    path("sagas/<str:saga_id>/cancel", CancelSagaView.as_view(), "saga-cancel"),
    path("sagas/<str:saga_id>/resume", ResumeSagaView.as_view(), "saga-resume"),
    path("schedules/<str:schedule_id>", ScheduleView.as_view(), "schedule"),
    path("activities", ActivitiesView.as_view(), "activities"),
    path("activities/bulk", ActivityBulkView.as_view(), "activity-bulk"),
    path(f"{ACTIVITY}/retry", ActivityRetryView.as_view(), "activity-retry"),
    path(f"{ACTIVITY}/complete", ActivityCompleteView.as_view(), "activity-complete"),
    path(f"{ACTIVITY}/fail", ActivityFailView.as_view(), "activity-fail"),
    path(f"{INSTANCE}/timeline", TimelineView.as_view(), "instance-timeline"),
    path(f"{INSTANCE}/events", StoredEventsView.as_view(), "instance-events"),
    path(f"{INSTANCE}/why", WhyView.as_view(), "instance-why"),
    path(f"{INSTANCE}/state", InstanceStateView.as_view(), "instance-state"),
    path(f"{INSTANCE}/cancel", CancelView.as_view(), "instance-cancel"),
    path(f"{INSTANCE}/pause", PauseInstanceView.as_view(), "instance-pause"),
    path(f"{INSTANCE}/resume", ResumeInstanceView.as_view(), "instance-resume"),
    path(f"{INSTANCE}/retry", RetryView.as_view(), "instance-retry"),
    path(f"{INSTANCE}/compensate", CompensateView.as_view(), "instance-compensate"),
]
