"""Rehearsals over REST: what a version would do with a participant, without doing it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine.rehearsal import asking, rehearsing
from engine.rehearsal.asking import RehearsalInput
from flows.api.shapes import ErrorShape, ProblemShape, TextOrNull
from flows.api.versions import VersionOfFlow
from tenants.api.base import TenantRequest


class WaitedShape(serializers.Serializer[Any]):
    """What a node waited for, and what ended the wait."""

    until = serializers.DateTimeField(allow_null=True)
    event_types = serializers.ListField(child=serializers.CharField())
    resolved_by = serializers.CharField(allow_null=True)
    event = serializers.DictField(allow_null=True)


class StopShape(serializers.Serializer[Any]):
    """A node on the way."""

    node_id = serializers.CharField()
    node_type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.ChoiceField(("completed", "failed", "waiting", "running", "held", "parked", "cancelled"))
    arrived_at = serializers.DateTimeField()
    left_at = serializers.DateTimeField(allow_null=True)
    branch = serializers.CharField(allow_null=True)
    result = serializers.JSONField(allow_null=True)
    error = serializers.DictField(allow_null=True)
    wait = WaitedShape(allow_null=True)
    called = serializers.DictField(allow_null=True, help_text="What a side effect would have been given.")


class StatusShape(serializers.Serializer[Any]):
    """A status of a message."""

    status = serializers.CharField()
    at = serializers.DateTimeField()
    reason = serializers.CharField(allow_null=True)


class MessageShape(serializers.Serializer[Any]):
    """A message as it would have arrived."""

    node_id = serializers.CharField()
    channel = serializers.CharField()
    queued_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField()
    status = serializers.CharField()
    reason = serializers.CharField(allow_null=True)
    recipient = serializers.CharField(allow_null=True)
    template_id = serializers.CharField(allow_null=True)
    locale = serializers.CharField(allow_null=True)
    rendered = serializers.DictField(child=serializers.CharField())
    history = StatusShape(many=True)


class ReachedShape(serializers.Serializer[Any]):
    """A goal that was reached."""

    name = serializers.CharField()
    at = serializers.DateTimeField()
    by = serializers.CharField(help_text="The node, or the type of the event.")
    facts = serializers.DictField()


class ChangedProfileShape(serializers.Serializer[Any]):
    """What a node would have made of the profile."""

    node_id = serializers.CharField()
    at = serializers.DateTimeField()
    fields = serializers.DictField()  # type: ignore[assignment]  # the word of the node's config
    add_tags = serializers.ListField(child=serializers.CharField())
    remove_tags = serializers.ListField(child=serializers.CharField())


class DidShape(serializers.Serializer[Any]):
    """What an event did."""

    kind = serializers.CharField()
    code = serializers.CharField(allow_null=True)
    node_id = serializers.CharField(allow_null=True)


class CameShape(serializers.Serializer[Any]):
    """An event; `at` is null where it did not come."""

    event_type = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    effects = DidShape(many=True)


class RehearsalShape(serializers.Serializer[Any]):
    """How it went: `waiting` where nothing that was planned would move the run on, `refused` where it did not enter."""

    status = serializers.ChoiceField(("completed", "exited", "failed", "waiting", "running", "refused"))
    exit_reason = TextOrNull()
    error = ErrorShape(allow_null=True)
    began_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    path = StopShape(many=True)
    messages = MessageShape(many=True)
    conversions = ReachedShape(many=True)
    profile_changes = ChangedProfileShape(many=True)
    participant = serializers.DictField(allow_null=True, help_text="The profile at the end.")
    events = CameShape(many=True)
    warnings = ProblemShape(many=True)


class SimulateView(VersionOfFlow):
    """A version, tried out."""

    @extend_schema(request=RehearsalInput, responses=RehearsalShape)
    def post(self, request: TenantRequest, flow_id: str, number: int) -> Response:
        """Run one participant, real or made up, through a version at no time; nothing is written, nobody is called."""
        version, given = self.version(flow_id, number), self.parse(RehearsalInput)
        return Response(rehearsing.rehearse(version, asking.plan_of(given)))
