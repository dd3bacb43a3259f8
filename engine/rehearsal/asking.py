"""What is asked of a rehearsal, as JSON: over REST, and by the admin's page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from engine import clock
from engine.nodes import duration
from engine.ports import CONSENT_STATUSES, Preferences
from engine.rehearsal import plan
from engine.rehearsal.checking import MOST_EVENTS
from engine.rehearsal.plan import Choice, Happening, Plan

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


def plan_of(given: JSON) -> Plan:
    """Give the plan that was asked for."""
    real = "participant_id" in given and "participant" not in given
    profile = None if real else {"properties": {}, "tags": [], **given.get("participant", {})}
    name = given.get("participant_id", plan.MADE_UP)
    return Plan(
        begins=given.get("begins_at") or clock.now().replace(microsecond=0),
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
