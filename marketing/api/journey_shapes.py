"""What the API takes and shows of journeys; the served schema is read from these classes."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from engine.models import FlowSchedule
from marketing.journeys import goals
from marketing.models import Journey, JourneyStatus
from tenants.api.fields import MomentField

JSON = dict[str, Any]


@extend_schema_field(OpenApiTypes.OBJECT)
class GoalField(serializers.JSONField):
    """The `goal` of a graph's settings: name, event_type, filter, window, attribution, exit_on_goal."""


class AudienceInput(serializers.Serializer[Any]):
    """Whom a journey is for."""

    segment = serializers.CharField(max_length=255, help_text="The slug or id of a segment.")


class JourneyScheduleInput(serializers.Serializer[Any]):
    """When a draft launches by itself, and when the audience is let in."""

    launch_at = MomentField(required=False, allow_null=True)
    include_existing = serializers.BooleanField(required=False, allow_null=True)
    kind = serializers.ChoiceField(FlowSchedule.Kind.choices, required=False, allow_null=True)
    cron = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=128)
    every = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=16, help_text="A duration: 30s 15m 12h 3d 2w."
    )
    at = MomentField(required=False, allow_null=True)
    timezone = serializers.CharField(required=False, allow_null=True, max_length=64)
    context = serializers.DictField(required=False)  # type: ignore[assignment]  # a field, not the property


class LaunchErrorShape(serializers.Serializer[Any]):
    """Why a launch that was due was refused."""

    at = serializers.DateTimeField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ScheduleShape(serializers.Serializer[Any]):
    """When a draft launches by itself, when the audience is let in, and what that did the last time."""

    launch_at = serializers.DateTimeField(allow_null=True)
    include_existing = serializers.BooleanField(allow_null=True)
    launch_error = LaunchErrorShape(allow_null=True)
    id = serializers.UUIDField(allow_null=True)
    kind = serializers.ChoiceField(FlowSchedule.Kind.choices, allow_null=True)
    cron = serializers.CharField(allow_null=True)
    every = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField(allow_null=True)
    timezone = serializers.CharField(allow_null=True)
    context = serializers.DictField(allow_null=True)  # type: ignore[assignment]  # a field, not the property
    enabled = serializers.BooleanField(allow_null=True)
    next_at = serializers.DateTimeField(allow_null=True)
    last_at = serializers.DateTimeField(allow_null=True)
    last_result = serializers.DictField(allow_null=True)


class JourneyShape(serializers.Serializer[Journey]):
    """A journey; its goal is that of its flow's graph, but for one that a draft was given."""

    id = serializers.UUIDField()
    flow_id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    status = serializers.ChoiceField(JourneyStatus.choices)
    goal = serializers.SerializerMethodField()
    schedule = serializers.SerializerMethodField()
    audience = AudienceInput(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    launched_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    @extend_schema_field(GoalField(allow_null=True))
    def get_goal(self, journey: Journey) -> JSON | None:
        """Give what its runs are measured by."""
        return goals.shown(journey)

    @extend_schema_field(ScheduleShape(allow_null=True))
    def get_schedule(self, journey: Journey) -> JSON | None:
        """Give null where nothing is planned."""
        stored = journey.schedule
        if not (stored or journey.launch_at or journey.launch_error):
            return None
        names = set(ScheduleShape().fields) - {"launch_at", "include_existing", "launch_error"}
        kept = {name: getattr(stored, name, None) for name in names}
        facts = {name: None if value == "" else value for name, value in kept.items()}
        of_launch = {name: getattr(journey, name) for name in ("launch_at", "include_existing", "launch_error")}
        return dict(ScheduleShape({**facts, **of_launch}).data)


class LaunchShape(JourneyShape):
    """A journey that has been launched, and the job that lets the members of its audience in, if one does."""

    job_id = serializers.UUIDField(allow_null=True)
    matched = serializers.IntegerField(allow_null=True)
