"""Rehearsals over REST: what a version would do with a participant, without doing it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from engine import clock
from engine.nodes import duration
from engine.ports import CONSENT_STATUSES, Preferences
from engine.rehearsal import plan, rehearsing
from engine.rehearsal.checking import MOST_EVENTS
from engine.rehearsal.plan import Choice, Happening, Plan
from flows.api.shapes import ErrorShape, ProblemShape, TextOrNull
from flows.api.versions import VersionOfFlow
from tenants.api.base import TenantRequest

JSON = dict[str, Any]

MAX_NAME = 255
NO_TIME = timedelta()


@extend_schema_field(OpenApiTypes.STR)
class SpanField(serializers.Field[timedelta, Any, str, Any]):
    """No time, or a duration of at most ten years."""

    def to_internal_value(self, data: Any) -> timedelta:
        """Read `0s`, `15m`, `3d`."""
        try:
            span = duration.parse_offset(data)
        except duration.InvalidDuration as error:
            raise serializers.ValidationError([str(error)]) from error
        if span < NO_TIME:
            raise serializers.ValidationError(["Time does not go back: write a duration such as 2h."])
        return span

    def to_representation(self, value: timedelta) -> str:
        """Write it."""
        return duration.write(value)


class SaidField(serializers.BooleanField):
    """Yes or no, and nothing that resembles them."""

    def to_internal_value(self, data: Any) -> bool:
        """Take truth values alone."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class ProfileInput(serializers.Serializer[Any]):
    """A participant who is made up."""

    email = serializers.CharField(required=False, max_length=320)
    phone = serializers.CharField(required=False, max_length=32)
    name = serializers.CharField(required=False, max_length=MAX_NAME)
    timezone = serializers.CharField(required=False, max_length=64)
    locale = serializers.CharField(required=False, max_length=35)
    properties = serializers.DictField(default=dict)
    tags = serializers.ListField(child=serializers.CharField(max_length=64), default=list, max_length=500)


class HappeningInput(serializers.Serializer[Any]):
    """An event: `at` a moment, or `after` the entry, or after the wait at `node_id` has begun."""

    event_type = serializers.CharField(max_length=MAX_NAME)
    data = serializers.DictField(default=dict)  # type: ignore[assignment]  # a field, not the property
    at = serializers.DateTimeField(required=False)
    after = SpanField(default=NO_TIME)
    node_id = serializers.CharField(required=False, max_length=64)


class ChoiceInput(serializers.Serializer[Any]):
    """
    How a node turns out.

    `branch` and parts of the `result`; or the error code with which it `fails`; `after` how long, for side effects and
    messages; for sends the last status of the `delivery`, and the `reason` for it.
    """

    branch = serializers.CharField(required=False, max_length=64)
    result = serializers.DictField(default=dict)
    fails = serializers.CharField(default="", max_length=64)
    detail = serializers.CharField(default="", max_length=2_000)
    after = SpanField(default=NO_TIME)
    delivery = serializers.CharField(default="", max_length=32)
    reason = serializers.CharField(default="", max_length=64)


class RehearsalInput(serializers.Serializer[Any]):
    """
    Who goes through, with what, and what happens meanwhile.

    `participant_id` alone is somebody real; with a `participant` (or none of both) it is somebody made up.
    """

    participant_id = serializers.CharField(required=False, max_length=MAX_NAME)
    participant = ProfileInput(required=False)
    preferences = serializers.DictField(
        child=serializers.DictField(child=SaidField()), required=False, help_text="By channel and topic."
    )
    consents = serializers.DictField(child=serializers.ChoiceField(CONSENT_STATUSES), required=False)
    segments = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, max_length=500, help_text="Slugs or ids."
    )
    entry = serializers.DictField(default=dict, help_text="The event that starts the run, or what is passed to it.")
    entry_node = serializers.CharField(required=False, max_length=64)
    begins_at = serializers.DateTimeField(required=False, help_text="Now, without it.")
    events = serializers.ListField(child=HappeningInput(), required=False, max_length=MOST_EVENTS)
    outcomes = serializers.DictField(child=ChoiceInput(), required=False, help_text="By node id.")


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
        return Response(rehearsing.rehearse(version, plan_of(given)))


def plan_of(given: JSON) -> Plan:
    """Give the plan that was asked for."""
    real = "participant_id" in given and "participant" not in given
    profile = None if real else {"properties": {}, "tags": [], **given.get("participant", {})}
    name = given.get("participant_id", plan.MADE_UP)
    return Plan(
        begins=given.get("begins_at") or clock.now(),
        participant_id=name,
        profile=profile and {"external_id": name, **profile},
        preferences=_preferences(given, real=real),
        segments=None if real and "segments" not in given else frozenset(given.get("segments", ())),
        entry=given["entry"],
        entry_node=given.get("entry_node"),
        events=tuple(Happening(**each) for each in given.get("events", ())),
        choices={node_id: Choice(**each) for node_id, each in given.get("outcomes", {}).items()},
    )


# Whoever is made up has said what was given, and nothing else.
def _preferences(given: JSON, *, real: bool) -> Preferences | None:
    if real and "preferences" not in given and "consents" not in given:
        return None
    return Preferences(given.get("preferences", {}), given.get("consents", {}))
