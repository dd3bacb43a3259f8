"""Journeys over REST: flows with an audience, a schedule and a goal; launched, paused, resumed, archived."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from flows.api.durations import DurationField
from flows.api.filters import Several
from flows.api.graphs import GraphField
from flows.lifecycle import Overdue
from flows.models import Flow
from marketing import journeys
from marketing.api.journey_shapes import AudienceInput, GoalField, JourneyScheduleInput, JourneyShape, LaunchShape
from marketing.journeys import goals
from marketing.journeys.catalog import MAX_TAG, MAX_TAGS
from marketing.models import Journey, JourneyStatus
from tenants.api.base import TenantRequest, TenantView
from tenants.api.parts import Part
from tenants.errors import NotFound

NAME_LENGTH = 255


class JourneyFields(serializers.Serializer[Any]):
    """What can be changed of a journey; it stays with its flow. Null takes away."""

    name = serializers.CharField(max_length=NAME_LENGTH, required=False)
    description = serializers.CharField(max_length=5000, required=False, allow_blank=True)
    goal = GoalField(required=False, allow_null=True)
    audience = AudienceInput(required=False, allow_null=True)
    schedule = JourneyScheduleInput(required=False, allow_null=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=MAX_TAG), required=False, max_length=MAX_TAGS)


class JourneyReplacement(JourneyFields):
    """All that can be changed of a journey; what is left out is taken away."""

    name = serializers.CharField(max_length=NAME_LENGTH)


class JourneyInput(JourneyFields):
    """A new journey: over the flow with `flow_id`, or over a new flow of this graph."""

    name = serializers.CharField(max_length=NAME_LENGTH)
    flow_id = serializers.UUIDField(required=False)
    graph = GraphField(required=False)


class NoInput(serializers.Serializer[Any]):
    """A body without fields."""


class JourneyAnswers(TenantView):
    """What the views of journeys share: finding one, and answering with it as it is stored now."""

    Output = JourneyShape

    def answer(self, journey: Journey, status: int = 200) -> Response:
        """Give the journey."""
        return Response(JourneyShape(self.journey(journey.pk)).data, status=status)

    def journey(self, key: Any) -> Journey:
        """The tenant's journey with what is shown of it."""
        return self.get_row(goals.with_goals(_rows()), key)


class JourneysView(JourneyAnswers):
    """The tenant's journeys."""

    paginated = True

    class Filters(serializers.Serializer[Any]):
        """Which journeys to list."""

        status = Several(JourneyStatus.values, required=False)
        tag = serializers.CharField(required=False, max_length=MAX_TAG)
        flow_id = serializers.UUIDField(required=False)

    def get(self, request: TenantRequest) -> Response:
        """List journeys, newest first."""
        asked = self.filters()
        whose, statuses = {"tenant_id": request.tenant.pk}, dict.fromkeys(asked.pop("status", ()))
        all_of_them = [Part({**whose, "status": status}) for status in statuses] or [Part(whose)]
        if not asked:
            return self.paginate(goals.with_goals(_rows()), JourneyShape, parts=all_of_them)
        picked = Q(tags__contains=[asked.pop("tag")]) if "tag" in asked else Q()
        theirs = picked & Q(**asked) & (Q(status__in=list(statuses)) if statuses else Q())
        return self.paginate(goals.with_goals(_rows()), JourneyShape, parts=[Part(also=theirs)], sifted=Part(whose))

    @extend_schema(request=JourneyInput, responses={201: JourneyShape})
    def post(self, request: TenantRequest) -> Response:
        """Make a journey in draft."""
        given = dict(self.parse(JourneyInput))
        flow = self._flow(given.pop("flow_id")) if "flow_id" in given else None
        return self.answer(journeys.create(request.tenant, given.pop("name"), flow=flow, **given), status=201)

    def _flow(self, key: Any) -> Flow:
        try:
            return self.get_row(Flow, key)
        except NotFound as error:
            raise NotFound(error.detail, attr="flow_id") from error


class JourneyView(JourneyAnswers):
    """One journey."""

    def get(self, request: TenantRequest, journey_id: str) -> Response:
        """Show a journey."""
        return Response(JourneyShape(self.journey(journey_id)).data)

    @extend_schema(request=JourneyFields)
    def patch(self, request: TenantRequest, journey_id: str) -> Response:
        """Change what is sent; a new goal of a launched journey is published as a new version of its flow."""
        given = self.parse(JourneyFields)
        return self.answer(journeys.change(self.get_row(Journey, journey_id), by=request.principal.actor, **given))

    @extend_schema(request=JourneyReplacement)
    def put(self, request: TenantRequest, journey_id: str) -> Response:
        """Replace what can be changed of a journey."""
        journey = self.get_row(Journey, journey_id)
        empty: dict[str, Any] = {"description": "", "goal": None, "audience": None, "schedule": None, "tags": []}
        given = {**empty, **self.parse(JourneyReplacement)}
        return self.answer(journeys.change(journey, by=request.principal.actor, **given))

    def delete(self, request: TenantRequest, journey_id: str) -> Response:
        """Delete a journey that was never launched; its flow stays."""
        journeys.delete(self.get_row(Journey, journey_id))
        return Response(status=204)


class JourneyLaunchView(JourneyAnswers):
    """Let participants in."""

    class Input(serializers.Serializer[Any]):
        """Who enters now; without it, the `backfill` of the graph decides."""

        include_existing = serializers.BooleanField(
            required=False, help_text="Whether those who are in the audience already enter, in the background."
        )

    @extend_schema(request=Input, responses={200: LaunchShape, 202: LaunchShape})
    def post(self, request: TenantRequest, journey_id: str) -> Response:
        """Publish and activate the flow with the journey; 202 where a job lets the members of the audience in."""
        given = self.parse(self.Input)
        made = journeys.launch(self.get_row(Journey, journey_id), by=request.principal.actor, **given)
        journey = self.journey(journey_id)
        facts = {"job_id": made.job.pk if made.job else None, "matched": made.job.matched if made.job else None}
        return Response({**JourneyShape(journey).data, **facts}, status=202 if made.job else 200)


class JourneyPauseView(JourneyAnswers):
    """Hold everybody."""

    @extend_schema(request=NoInput, responses=JourneyShape)
    def post(self, request: TenantRequest, journey_id: str) -> Response:
        """Pause a journey with its flow."""
        self.parse(NoInput)
        return self.answer(journeys.pause(self.get_row(Journey, journey_id)))


class JourneyResumeView(JourneyAnswers):
    """Go on after a pause."""

    class Input(serializers.Serializer[Any]):
        """What becomes of waits that became due meanwhile."""

        overdue = serializers.ChoiceField([each.value for each in Overdue], required=False)
        spread_over = DurationField(required=False)

    @extend_schema(request=Input, responses=JourneyShape)
    def post(self, request: TenantRequest, journey_id: str) -> Response:
        """Resume a journey with its flow."""
        return self.answer(journeys.resume(self.get_row(Journey, journey_id), **self.parse(self.Input)))


class JourneyArchiveView(JourneyAnswers):
    """Take no more entries."""

    @extend_schema(request=NoInput, responses=JourneyShape)
    def post(self, request: TenantRequest, journey_id: str) -> Response:
        """Archive a journey with its flow; whoever is inside finishes."""
        self.parse(NoInput)
        return self.answer(journeys.archive(self.get_row(Journey, journey_id)))


def _rows() -> Any:
    return Journey.objects.get_queryset().select_related("schedule")
