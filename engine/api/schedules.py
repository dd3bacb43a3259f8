"""Schedules of a flow over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import schedules
from engine.models import FlowSchedule
from flows.models import Flow
from tenants.api.base import TenantRequest, TenantView
from tenants.api.fields import MomentField


class ParticipantsField(serializers.ListField):
    """Ids of participants."""

    child = serializers.RegexField(r"\S", max_length=255, trim_whitespace=False)


class ScheduleFields(serializers.Serializer[Any]):
    """When a flow starts by itself, and for whom; each field on its own."""

    kind = serializers.ChoiceField(FlowSchedule.Kind.choices, required=False)
    cron = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=128)
    every = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=16, help_text="A duration: 30s 15m 12h 3d 2w."
    )
    at = MomentField(required=False, allow_null=True)
    timezone = serializers.CharField(required=False, max_length=64)
    participants = ParticipantsField(required=False, allow_null=True)
    audience = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=255)
    context = serializers.DictField(required=False)  # type: ignore[assignment]  # a field, not the property
    enabled = serializers.BooleanField(required=False)


class ScheduleInput(ScheduleFields):
    """A new schedule."""

    kind = serializers.ChoiceField(FlowSchedule.Kind.choices)


class TextOrNull(serializers.CharField):
    """A text that is null where it says nothing."""

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]  # null is the point of it
        """Give null for an empty text."""
        return value or None


class ScheduleOutput(serializers.Serializer[Any]):
    """A schedule."""

    id = serializers.UUIDField()
    flow_id = serializers.UUIDField()
    kind = serializers.ChoiceField(FlowSchedule.Kind.choices)
    cron = TextOrNull(allow_null=True)
    every = TextOrNull(allow_null=True)
    at = serializers.DateTimeField(allow_null=True)
    timezone = serializers.CharField()
    participants = serializers.ListField(child=serializers.CharField())
    audience = TextOrNull(allow_null=True)
    context = serializers.DictField()  # type: ignore[assignment]  # a field, not the property
    enabled = serializers.BooleanField()
    next_at = serializers.DateTimeField(allow_null=True)
    last_at = serializers.DateTimeField(allow_null=True)
    last_result = serializers.DictField(allow_null=True)


class SchedulesView(TenantView):
    """The schedules of a flow."""

    paginated = True
    Output = ScheduleOutput

    def get(self, request: TenantRequest, flow_id: str) -> Response:
        """List a flow's schedules, newest first."""
        flow = self.get_row(Flow, flow_id)
        return self.paginate(FlowSchedule.objects.filter(flow=flow), ScheduleOutput)

    @extend_schema(request=ScheduleInput, responses={201: ScheduleOutput})
    def post(self, request: TenantRequest, flow_id: str) -> Response:
        """Make a schedule."""
        flow = self.get_row(Flow, flow_id)
        given = _cleaned(self.parse(ScheduleInput))
        schedule = schedules.save(FlowSchedule(tenant=request.tenant, flow=flow, **given))
        return Response(ScheduleOutput(schedule).data, status=201)


class ScheduleView(TenantView):
    """One schedule."""

    Output = ScheduleOutput

    def get(self, request: TenantRequest, schedule_id: str) -> Response:
        """Show a schedule, with what its last start did."""
        return Response(ScheduleOutput(self.get_row(FlowSchedule, schedule_id)).data)

    @extend_schema(request=ScheduleFields)
    def patch(self, request: TenantRequest, schedule_id: str) -> Response:
        """Change a schedule; its next moment is planned anew."""
        given = _cleaned(self.parse(ScheduleFields))
        schedule = schedules.change(self.get_row(FlowSchedule, schedule_id), **given)
        return Response(ScheduleOutput(schedule).data)

    def delete(self, request: TenantRequest, schedule_id: str) -> Response:
        """Delete a schedule; what it started goes on."""
        self.get_row(FlowSchedule, schedule_id).delete()
        return Response(status=204)


# Null says the same as nothing.
def _cleaned(given: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {"participants": [], "at": None}
    return {name: empty.get(name, "") if value is None else value for name, value in given.items()}
