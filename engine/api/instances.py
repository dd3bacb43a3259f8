"""What happens to a run: its story, its events, why it stands where it stands, and an operator's acts on it."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import operations, queries
from engine import why as reasons
from engine.api.events import correlation_of
from engine.compensation import verbs
from engine.message_story import Storyteller
from flows import queries as flow_queries
from flows.api.shapes import InstanceShape
from flows.models import FlowInstance
from tenants.api.base import TenantRequest, TenantView


class ReasonInput(serializers.Serializer[Any]):
    """Why an operator does it; it goes into the timeline."""

    reason = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class TimelineEntry(serializers.Serializer[Any]):
    """One line of a run's story."""

    at = serializers.DateTimeField()
    kind = serializers.CharField()
    node_id = serializers.CharField(allow_null=True)
    node_type = serializers.CharField(allow_null=True)
    title = serializers.CharField()
    detail = serializers.CharField(allow_blank=True)
    actor = serializers.CharField(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment]  # a field, not the property


class MetadataOutput(serializers.Serializer[Any]):
    """Where an event comes from."""

    correlation_id = serializers.CharField(allow_null=True)
    causation_id = serializers.CharField(allow_null=True)
    actor = serializers.CharField(allow_null=True)


class StoredEventOutput(serializers.Serializer[Any]):
    """A stored event."""

    position = serializers.IntegerField()
    sequence = serializers.IntegerField()
    type = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]  # a field, not the property
    metadata = MetadataOutput()
    recorded_at = serializers.DateTimeField()


class CauseOutput(serializers.Serializer[Any]):
    """One reason."""

    code = serializers.CharField()
    detail = serializers.CharField()
    node_id = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)
    wakes_on = serializers.CharField(allow_null=True)
    held_by = serializers.CharField(allow_null=True)


class TimelineView(TenantView):
    """A run as a story."""

    paginated = True
    Output = TimelineEntry

    def get(self, request: TenantRequest, instance_id: str) -> Response:
        """List what happened, oldest first, in words."""
        instance = self.get_row(FlowInstance, instance_id)
        story = Storyteller(instance)
        rows = queries.timeline(instance)
        return self.paginate(rows, lambda row: TimelineEntry(story.tell(row)).data, ordering=("sequence",))


class StoredEventsView(TenantView):
    """A run as its log tells it."""

    paginated = True
    Output = StoredEventOutput

    def get(self, request: TenantRequest, instance_id: str) -> Response:
        """List the stored events, oldest first."""
        rows = queries.events(self.get_row(FlowInstance, instance_id))
        return self.paginate(rows, lambda row: StoredEventOutput(queries.as_event(row)).data, ordering=("sequence",))


class WhyView(TenantView):
    """Why a run stands where it stands."""

    class Output(serializers.Serializer[Any]):
        """In a sentence, and every cause with its code."""

        summary = serializers.CharField()
        causes = CauseOutput(many=True)

    def get(self, request: TenantRequest, instance_id: str) -> Response:
        """Say what the run waits for, since when, what would wake it and who holds it."""
        instance = self.get_row(flow_queries.with_names(FlowInstance.objects.all()), instance_id)
        return Response(self.Output(reasons.why(instance)).data)


class _VerbView(TenantView):
    """An operator's act on one run; it answers with the run as it is then."""

    verb: ClassVar[Any]

    @extend_schema(request=ReasonInput, responses=InstanceShape)
    def post(self, request: TenantRequest, instance_id: str) -> Response:
        """Do it, or say with 409 what the run is instead."""
        instance = self.get_row(FlowInstance, instance_id)
        given = self.parse(ReasonInput)
        actor = request.principal.actor
        type(self).verb(str(instance.pk), actor=actor, correlation_id=correlation_of(request), **given)
        rows = flow_queries.with_names(FlowInstance.objects.all())
        return Response(InstanceShape(self.get_row(rows, instance_id)).data)


class CancelView(_VerbView):
    """End an unfinished run."""

    verb = staticmethod(operations.cancel)


class PauseInstanceView(_VerbView):
    """Hold a run where it stands."""

    verb = staticmethod(operations.pause)


class ResumeInstanceView(_VerbView):
    """Let a paused run go on."""

    verb = staticmethod(operations.resume)


class RetryView(_VerbView):
    """Run a failed run again from the node that failed."""

    verb = staticmethod(operations.retry)


class CompensateView(_VerbView):
    """Undo what a failed or exited run did, or go on where its roll-back got stuck."""

    verb = staticmethod(verbs.compensate)
