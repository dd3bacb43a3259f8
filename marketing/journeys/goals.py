"""
The goal of a journey: `settings.goal` of its flow's graph, which is what runs are measured by.

A draft keeps the goal that it was given until the launch writes it into the graph. From then on there is only the
graph's, and a new goal is a new version: runs under way keep the one that they entered with.
"""

from __future__ import annotations

from typing import Any, cast

from django.db.models import Case, F, OuterRef, QuerySet, Subquery, When

from engine.graph_settings import Goal
from engine.nodes import config
from engine.nodes.errors import InvalidConfig
from flows import publishing, versions
from flows.models import Flow, FlowVersion
from flows.models.version import VersionStatus
from marketing.models import Journey, JourneyStatus
from tenants.errors import Invalid, Problem

JSON = dict[str, Any]

CHANGELOG = "The goal of the journey."


def read(raw: Any) -> JSON | None:
    """Check a goal as publishing would; without a name it goes by its event. Invalid names the key."""
    if raw is None:
        return None
    goal = {"name": raw["event_type"], **raw} if isinstance(raw, dict) and "event_type" in raw else raw
    try:
        config.parse(Goal, goal)
    except InvalidConfig as error:
        raise Invalid([_problem(each.path, each.message) for each in error.problems]) from error
    return cast("JSON", goal)


def with_goals(journeys: QuerySet[Journey]) -> QuerySet[Journey]:
    """Add to each journey what its graph says, as `graph_goal`: the newest graph of a draft, else the running one."""
    newest = FlowVersion.objects.filter(flow=OuterRef("flow")).order_by("-number").values("graph__settings__goal")[:1]
    of_graph = Case(
        When(status=JourneyStatus.DRAFT, then=Subquery(newest)),
        default=F("flow__active_version__graph__settings__goal"),
    )
    return journeys.annotate(graph_goal=of_graph)


def shown(journey: Journey) -> JSON | None:
    """Give the goal of a journey that `with_goals` has read."""
    return cast("JSON | None", journey.goal or vars(journey).get("graph_goal"))


def write_down(journey: Journey, flow: Flow) -> None:
    """Put a draft's goal into the newest draft of its flow's graph, made where there is none; the flow is held."""
    newest = versions.newest(flow)
    if journey.goal is None or newest is None:
        return
    if newest.status == VersionStatus.DRAFT:
        versions.update_draft(newest, graph=_with(newest.graph, journey.goal))
    elif (running := flow.active_version) and _goal_of(running.graph) != journey.goal:
        versions.create_draft(flow, _with(running.graph, journey.goal), changelog=CHANGELOG)


def replace(flow: Flow, goal: JSON | None, *, by: str) -> None:
    """Publish the running graph with another goal; the flow is held."""
    running = flow.active_version
    if running is not None and _goal_of(running.graph) != goal:
        draft = versions.create_draft(flow, _with(running.graph, goal), changelog=CHANGELOG)
        publishing.publish(draft, by=by)


def _goal_of(graph: JSON) -> Any:
    return (graph.get("settings") or {}).get("goal")


def _with(graph: JSON, goal: JSON | None) -> JSON:
    settings = {name: value for name, value in (graph.get("settings") or {}).items() if name != "goal"}
    return {**graph, "settings": settings if goal is None else {**settings, "goal": goal}}


def _problem(path: str, message: str) -> Problem:
    attr = f"goal.{path}" if path else "goal"
    return Problem("invalid_goal", f"`{attr}`: {message}.", attr)
