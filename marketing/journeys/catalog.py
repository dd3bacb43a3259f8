"""Journeys as things: made, changed, deleted. Each verb holds the flow, then the journey, as launching does."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction

from engine import clock
from flows import lifecycle as flows
from flows import locks
from flows.errors import FlowArchived
from flows.models import Flow
from flows.models.flow import FlowStatus
from marketing.errors import JourneyArchived, JourneyNotDraft
from marketing.journeys import audiences, goals, timetables
from marketing.journeys.holding import held
from marketing.models import Journey, JourneyStatus
from tenants.errors import Invalid, NotFound, Problem
from tenants.models import Tenant

JSON = dict[str, Any]

MAX_TAG: Final = 64
MAX_TAGS: Final = 50
PLAIN: Final = ("name", "description")


def create(tenant: Tenant, name: str, *, flow: Flow | None = None, graph: Any = None, **given: Any) -> Journey:
    """
    Make a journey in draft over a flow, or over a new one of this graph.

    `given` are `description`, `goal`, `audience`, `schedule` and `tags`. Invalid names every place of trouble.
    """
    if (flow is None) == (graph is None):
        detail = "Give the flow_id of a flow, or a graph to make one of."
        raise Invalid([Problem("required" if flow is None else "invalid", detail, "flow_id")])
    if flow is not None and flow.tenant_id != tenant.pk:
        raise NotFound("There is no flow with this id.", attr="flow_id")
    with transaction.atomic():
        if flow is None:
            flow = flows.create(tenant, name, description=given.get("description", ""), graph=graph)
        elif locks.hold(flow).status == FlowStatus.ARCHIVED:
            raise FlowArchived(attr="flow_id")
        now = clock.now()
        journey = Journey(tenant=tenant, flow=flow, name=name, created_at=now, updated_at=now)
        schedule = given.pop("schedule", None)
        _put(journey, given)
        journey.save(force_insert=True)
        if schedule is not None:
            timetables.put(journey, schedule)
            journey.save(update_fields=["schedule", "launch_at", "include_existing"])
    return journey


def change(journey: Journey, *, by: str = "", **given: Any) -> Journey:
    """Change what is given of a journey; not when it is archived. A new goal of a launched one is a new version."""
    with held(journey) as flow:
        if journey.status == JourneyStatus.ARCHIVED:
            raise JourneyArchived
        schedule = given.pop("schedule", journey)
        goal = given.pop("goal", journey)
        _put(journey, given)
        if schedule is not journey:
            timetables.put(journey, schedule)
        if journey.schedule is not None and journey.audience is None:
            detail = "The schedule lets the audience in; take the schedule away first."
            raise Invalid([Problem("required", detail, "audience")])
        if goal is not journey:
            _put_goal(journey, flow, goals.read(goal), by=by)
        journey.updated_at = clock.now()
        journey.save()
    return journey


def delete(journey: Journey) -> None:
    """Delete a journey that was never launched; its flow stays."""
    with held(journey):
        if journey.status != JourneyStatus.DRAFT:
            raise JourneyNotDraft
        timetables.drop(journey)
        journey.delete()


def _put(journey: Journey, given: JSON) -> None:
    for name in PLAIN:
        setattr(journey, name, given.get(name, getattr(journey, name)))
    if "goal" in given:
        journey.goal = goals.read(given["goal"])
    if "audience" in given:
        journey.audience = audiences.read(journey.tenant, given["audience"])
    if "tags" in given:
        journey.tags = _tags(given["tags"])


def _put_goal(journey: Journey, flow: Flow, goal: JSON | None, *, by: str) -> None:
    if journey.status == JourneyStatus.DRAFT:
        journey.goal = goal
    else:
        goals.replace(flow, goal, by=by)


# A set, in the order in which they came.
def _tags(given: list[str]) -> list[str]:
    found = list(dict.fromkeys(tag.strip() for tag in given))
    if len(found) > MAX_TAGS:
        raise Invalid([Problem("too_many_tags", f"A journey has at most {MAX_TAGS} tags.", "tags")])
    for place, tag in enumerate(found):
        if not 0 < len(tag) <= MAX_TAG:
            raise Invalid([Problem("invalid", f"A tag has 1 to {MAX_TAG} characters.", f"tags.{place}")])
    return found
