"""The URLs of journeys."""

from marketing.api.journeys import (
    JourneyArchiveView,
    JourneyLaunchView,
    JourneyPauseView,
    JourneyResumeView,
    JourneysView,
    JourneyView,
)
from tenants.api.routing import path

urlpatterns = [
    path("journeys", JourneysView.as_view(), "journeys"),
    path("journeys/<str:journey_id>", JourneyView.as_view(), "journey"),
    path("journeys/<str:journey_id>/launch", JourneyLaunchView.as_view(), "journey-launch"),
    path("journeys/<str:journey_id>/pause", JourneyPauseView.as_view(), "journey-pause"),
    path("journeys/<str:journey_id>/resume", JourneyResumeView.as_view(), "journey-resume"),
    path("journeys/<str:journey_id>/archive", JourneyArchiveView.as_view(), "journey-archive"),
]
