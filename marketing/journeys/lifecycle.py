"""
Launching journeys, holding them and ending them: journey and flow move in one transaction.

Journeys over the same flow share its switch: whoever pauses or resumes one pauses or resumes all that are launched. The
flow is archived with the last of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from engine import clock
from engine.graph_settings import Backfill, parse_settings
from engine.models import Job
from flows import lifecycle as flows
from flows import publishing, versions
from flows.errors import FlowArchived, IllegalTransition
from flows.lifecycle import Overdue
from flows.models import Flow
from flows.models.flow import FlowStatus
from flows.models.version import VersionStatus
from marketing.journeys import audiences, goals, intakes, timetables
from marketing.journeys.holding import held
from marketing.journeys.timetables import LAUNCHED
from marketing.models import Journey, JourneyStatus
from tenants.errors import Invalid, Problem


@dataclass(frozen=True, slots=True)
class Launch:
    """A journey that is active now, and the job that lets in whoever was in its audience."""

    journey: Journey
    job: Job | None


def launch(journey: Journey, *, include_existing: bool | None = None, by: str = "") -> Launch:
    """
    Publish what the flow has in draft, let participants in, and let the schedule run.

    `include_existing` lets in those who are in the audience already; without it, the graph's `backfill` decides.
    """
    with held(journey) as flow:
        if journey.status != JourneyStatus.DRAFT:
            raise IllegalTransition(of="journey", current=journey.status, target="launched")
        if flow.status == FlowStatus.ARCHIVED:
            raise FlowArchived
        now = clock.now()
        goals.write_down(journey, flow)
        draft = versions.newest(flow)
        if draft is not None and draft.status == VersionStatus.DRAFT:
            publishing.publish(draft, by=by)
        if flow.status != FlowStatus.ACTIVE:
            flows.activate(flow, by=by)
        journey.status, journey.launched_at, journey.updated_at = JourneyStatus.ACTIVE, now, now
        journey.goal = journey.launch_at = journey.include_existing = journey.launch_error = None
        journey.save()
        timetables.switch(journey, on=True)
        flow.refresh_from_db()
        job = _let_in(journey, flow, include_existing=include_existing, by=by)
    return Launch(journey, job)


def pause(journey: Journey) -> Journey:
    """Take no entries and execute nothing, in this journey and whatever shares its flow."""
    with held(journey) as flow:
        _refuse_unless_reachable(journey, JourneyStatus.PAUSED)
        if flow.status != FlowStatus.PAUSED:
            flows.pause(flow)
        _move(journey, JourneyStatus.PAUSED)
    return journey


def resume(journey: Journey, *, overdue: Overdue = Overdue.RUN, spread_over: timedelta = timedelta(0)) -> Journey:
    """Go on after a pause, with a choice about what became due meanwhile."""
    with held(journey) as flow:
        if journey.status != JourneyStatus.PAUSED:
            raise IllegalTransition(of="journey", current=journey.status, target=JourneyStatus.ACTIVE)
        if flow.status != FlowStatus.ACTIVE:
            flows.resume(flow, overdue=overdue, spread_over=spread_over)
        _move(journey, JourneyStatus.ACTIVE)
    return journey


def archive(journey: Journey) -> Journey:
    """Take no entries ever again; whoever is inside finishes. The flow goes with the last journey over it."""
    with held(journey) as flow:
        _refuse_unless_reachable(journey, JourneyStatus.ARCHIVED)
        others = Journey.objects.filter(flow=flow, status__in=LAUNCHED).exclude(pk=journey.pk)
        timetables.switch(journey, on=False)
        intakes.stop(journey)
        if not others.exists() and flow.status != FlowStatus.ARCHIVED:
            flows.archive(flow)
        _move(journey, JourneyStatus.ARCHIVED)
    return journey


def follow(flow: Flow) -> None:
    """Give the launched journeys of a flow its status, in the transaction that moves it."""
    moved = Journey.objects.filter(flow=flow, status__in=LAUNCHED).exclude(status=flow.status).order_by("pk")
    for journey in moved.select_for_update(no_key=True, of=("self",)).select_related("schedule"):
        _move(journey, JourneyStatus(flow.status))
        if journey.status == JourneyStatus.ARCHIVED:
            timetables.switch(journey, on=False)


def _refuse_unless_reachable(journey: Journey, target: JourneyStatus) -> None:
    if journey.status not in Journey.TRANSITIONS.sources(target):
        raise IllegalTransition(of="journey", current=journey.status, target=target)


# The flow's move has taken the stored row along already; this copy follows.
def _move(journey: Journey, target: JourneyStatus) -> None:
    journey.status, journey.updated_at = target, clock.now()
    journey.save(update_fields=["status", "updated_at"])


def _let_in(journey: Journey, flow: Flow, *, include_existing: bool | None, by: str) -> Job | None:
    backfill = _backfill(flow)
    wanted = include_existing
    if wanted is None:
        wanted = backfill is not None and backfill.mode == "all"
    segment = audiences.segment_of(journey, flow)
    if segment is None or not wanted:
        if include_existing and segment is None:
            detail = "Nobody is in it yet that could enter: name an audience, or let the flow begin with a segment."
            raise Invalid([Problem("required", detail, "audience")])
        return None
    intake = audiences.intake_of(flow, segment, journey)
    intake.per_minute = backfill.rate_per_minute if backfill else None
    return intakes.begin(intake, actor=by)


def _backfill(flow: Flow) -> Backfill | None:
    return parse_settings(flow.active_version.graph.get("settings")).backfill if flow.active_version else None
