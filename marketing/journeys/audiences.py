"""Whom a journey is for: a segment, and where its members enter the flow."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from engine import clock, errors
from engine.models import FlowSchedule
from engine.nodes import registry
from engine.nodes.base import Category
from engine.nodes.errors import UnknownNodeType
from flows import versions
from flows.graph.model import Graph, GraphNode, parse
from flows.models import Flow
from flows.models.flow import FlowStatus
from marketing.journeys import intakes
from marketing.models import Intake, Journey, JourneyStatus, Segment
from tenants.errors import Invalid, Problem
from tenants.models import Tenant

JSON = dict[str, Any]

# What the schedule of a journey names as its audience; the journey says who that is.
PREFIX: Final = "journey:"


def read(tenant: Tenant, raw: Any) -> JSON | None:
    """Give an audience in its one form, or raise Invalid with the place of the trouble."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise Invalid([Problem("invalid", 'Name a segment: {"segment": "its slug or id"}.', "audience")])
    problems = [
        Problem("unknown_field", f"There is no field {name!r} here; an audience is {{segment}}.", f"audience.{name}")
        for name in raw
        if name != "segment"
    ]
    name = raw.get("segment")
    if not isinstance(name, str) or not name:
        problems.append(Problem("required", "Name a segment by its slug or id.", "audience.segment"))
    elif find_segment(tenant.pk, name) is None:
        problems.append(_unknown(name))
    if problems:
        raise Invalid(problems)
    return {"segment": name}


def find_segment(tenant_id: UUID, name: str) -> Segment | None:
    """Give the tenant's segment of this slug or id."""
    found = Q(slug=name)
    with suppress(ValueError):
        found |= Q(pk=UUID(name))
    return Segment.objects.for_tenant(tenant_id).filter(found).order_by("pk").first()


def segment_of(journey: Journey, flow: Flow) -> Segment | None:
    """Give the segment of a journey's audience, else the one whose members its flow lets in; None without either."""
    if journey.audience:
        name = journey.audience["segment"]
        segment = find_segment(journey.tenant_id, name)
        if segment is None:
            raise Invalid([_unknown(name)])
        return segment
    names = {str(node.config.get("segment_id")) for node in _triggers(_graph(flow)) if _lets_members_in(node)}
    return find_segment(journey.tenant_id, names.pop()) if len(names) == 1 else None


def entry_node(flow: Flow, segment: Segment) -> str:
    """
    Name the node of the running version at which the members of a segment enter.

    That is the one that listens for the segment, else the only entry there is.
    """
    triggers = _triggers(_graph(flow))
    for node in triggers:
        if _lets_members_in(node) and node.config.get("segment_id") in {segment.slug, str(segment.pk)}:
            return node.id
    if len(triggers) == 1:
        return triggers[0].id
    names = ", ".join(node.id for node in triggers)
    raise errors.AmbiguousEntryNode(
        f"The flow has the entry nodes {names}; add a segment_entry for {segment.slug}, where its members enter."
    )


def intake_of(flow: Flow, segment: Segment, journey: Journey | None) -> Intake:
    """Give what lets the members of now into a flow."""
    return Intake(
        tenant_id=flow.tenant_id,
        flow=flow,
        journey=journey,
        segment=segment,
        entry_node=entry_node(flow, segment),
        at=clock.now(),
    )


class Audiences:
    """The audiences of schedules: segments by their slug or id, and those of journeys."""

    def knows(self, tenant_id: UUID, name: str) -> bool:
        """Tell whether the tenant has a segment or a journey of this name."""
        if name.startswith(PREFIX):
            return self._journey(tenant_id, name) is not None
        return find_segment(tenant_id, name) is not None

    def let_in(self, schedule: FlowSchedule, name: str) -> JSON:
        """Begin to let the members in, as they are now; a flow or journey that is not active takes nobody."""
        flow, journey = schedule.flow, self._journey(schedule.tenant_id, name)
        if flow.status != FlowStatus.ACTIVE:
            raise errors.FlowNotActive(f"The flow is {flow.status}; only an active flow takes entries.")
        if journey is not None and journey.status != JourneyStatus.ACTIVE:
            raise errors.FlowNotActive(f"The journey is {journey.status}; only an active journey takes entries.")
        segment = segment_of(journey, flow) if journey else find_segment(schedule.tenant_id, name)
        if segment is None:
            raise Invalid([_unknown(name)])
        intake = intake_of(flow, segment, journey)
        intake.context = schedule.context
        job = intakes.begin(intake, actor="schedule")
        return {"job_id": str(job.pk), "matched": job.matched}

    def _journey(self, tenant_id: UUID, name: str) -> Journey | None:
        try:
            key = UUID(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
        except ValueError:
            return None
        return Journey.objects.for_tenant(tenant_id).filter(pk=key).first() if key else None


# Of a draft that is still being written, what there is of it.
def _graph(flow: Flow) -> Graph:
    version = flow.active_version or versions.newest(flow)
    return parse(version.graph if version else {"nodes": []})


def _triggers(graph: Graph) -> list[GraphNode]:
    return [node for node in graph.nodes.values() if _category(node) is Category.TRIGGER]


def _category(node: GraphNode) -> Category | None:
    try:
        return registry.get(node.type).category
    except UnknownNodeType:
        return None


def _lets_members_in(node: GraphNode) -> bool:
    return node.type == "segment_entry" and node.config.get("on", "entered") == "entered"


def _unknown(name: str) -> Problem:
    return Problem("unresolved_reference", f"There is no segment `{name}`.", "audience.segment")
