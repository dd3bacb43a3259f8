"""Events over REST: one, a batch, and what became of one."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import event_form, inbox
from engine.event_form import Incoming
from engine.models import InboundEvent
from tenants.api.base import TenantRequest, TenantView
from tenants.api.bodies import MIB
from tenants.errors import Invalid, NotFound, Problem

MAX_BATCH: Final = 1000
MAX_BATCH_BODY: Final = 16 * MIB


class EventInput(serializers.Serializer[Any]):
    """An event as it is sent; read by `engine.event_form`, described here."""

    participant_id = serializers.CharField(max_length=255)
    event_type = serializers.CharField(max_length=255)
    data = serializers.DictField(required=False)  # type: ignore[assignment]  # a field, not the property
    event_id = serializers.CharField(required=False, max_length=255, help_text="The same id is one event, ever.")
    occurred_at = serializers.DateTimeField(required=False, help_text="With its zone; at most five minutes ahead.")


class ProblemOutput(serializers.Serializer[Any]):
    """One thing that is wrong."""

    code = serializers.CharField()
    detail = serializers.CharField()
    attr = serializers.CharField(allow_null=True)


class EffectOutput(serializers.Serializer[Any]):
    """One thing that an event did."""

    kind = serializers.CharField(help_text="wait_resolved, started, exited, goal, refused")
    instance_id = serializers.UUIDField(required=False, allow_null=True)
    flow_id = serializers.UUIDField(required=False, allow_null=True)
    node_id = serializers.CharField(required=False, allow_null=True)
    code = serializers.CharField(required=False, allow_null=True)


class EventsView(TenantView):
    """Tell what happened to a participant."""

    rate_route = "events"
    Input = EventInput

    class Output(serializers.Serializer[Any]):
        """What became of an event."""

        event_id = serializers.CharField()
        duplicate = serializers.BooleanField()
        payload_mismatch = serializers.BooleanField()

    @extend_schema(responses={202: Output})
    def post(self, request: TenantRequest) -> Response:
        """Store one event; when the answer is given, it is durable."""
        event = event_form.read(request.data)
        (received,) = inbox.receive(request.tenant.pk, [event], correlation_id=correlation_of(request))
        answer = {
            "event_id": received.event_id,
            "duplicate": received.duplicate,
            "payload_mismatch": received.payload_mismatch,
        }
        return Response(answer, status=202)


class EventBatchView(TenantView):
    """Tell what happened to many."""

    rate_route = "events"
    max_body = MAX_BATCH_BODY

    class Input(serializers.Serializer[Any]):
        """Up to a thousand events."""

        events = serializers.ListField(child=EventInput(), min_length=1, max_length=MAX_BATCH)

    class Output(serializers.Serializer[Any]):
        """How many were new, and which were not."""

        class Refused(serializers.Serializer[Any]):
            """An event that was left out."""

            index = serializers.IntegerField()
            errors = ProblemOutput(many=True)  # type: ignore[assignment]  # a field, not the property

        accepted = serializers.IntegerField(help_text="Events that are stored now and were not before.")
        duplicates = serializers.ListField(child=serializers.IntegerField())
        payload_mismatches = serializers.ListField(
            child=serializers.IntegerField(), help_text="Duplicates that say something else than the stored one."
        )
        errors = Refused(many=True)  # type: ignore[assignment]  # a field, not the property

    @extend_schema(responses={202: Output})
    def post(self, request: TenantRequest) -> Response:
        """Store the good ones of up to 1,000 events and say what is wrong with the others."""
        indexes, events, refused = _sort_out(_events_of(self.body_object()))
        received = inbox.receive(request.tenant.pk, events, correlation_id=correlation_of(request))
        found = list(zip(indexes, received, strict=True))
        duplicates = [index for index, each in found if each.duplicate]
        answer = {
            "accepted": len(received) - len(duplicates),
            "duplicates": duplicates,
            "payload_mismatches": [index for index, each in found if each.payload_mismatch],
            "errors": refused,
        }
        return Response(answer, status=202)


class EventView(TenantView):
    """One event and everything it did."""

    class Output(serializers.Serializer[InboundEvent]):
        """An event as it is stored."""

        event_id = serializers.CharField()
        participant_id = serializers.CharField()
        event_type = serializers.CharField()
        data = serializers.DictField()  # type: ignore[assignment]  # a field, not the property
        occurred_at = serializers.DateTimeField()
        occurred_as_sent = serializers.DateTimeField(allow_null=True, help_text="Set where it was too far ahead.")
        received_at = serializers.DateTimeField()
        source = serializers.CharField()  # type: ignore[assignment]  # a field, not the property
        flow_id = serializers.UUIDField(allow_null=True)
        correlation_id = serializers.CharField()
        causation_depth = serializers.IntegerField()
        routed_at = serializers.DateTimeField(allow_null=True, help_text="Null: what it does is not decided yet.")
        effects = EffectOutput(many=True)

    def get(self, request: TenantRequest, event_id: str) -> Response:
        """Show an event: instances started, waits resolved, refusals with their reason."""
        event = InboundEvent.objects.for_tenant(request.tenant).filter(event_id=event_id).first()
        if event is None:
            raise NotFound("There is no event with this id.")
        return Response(self.Output(event).data)


def correlation_of(request: TenantRequest) -> str:
    """Give the id under which everything that comes of a request is found."""
    return str(getattr(request._request, "request_id", ""))  # noqa: SLF001  # the middleware's attribute


def _events_of(body: dict[str, Any]) -> list[Any]:
    unknown = [Problem("unknown_field", f"There is no field {name!r} here.", name) for name in body if name != "events"]
    if unknown:
        raise Invalid(unknown)
    if "events" not in body:
        raise Invalid([Problem("required", "This field is required.", "events")])
    events = body["events"]
    if not isinstance(events, list):
        raise Invalid([Problem("not_a_list", "This has to be a list of events.", "events")])
    if not 1 <= len(events) <= MAX_BATCH:
        code = "max_length" if events else "min_length"
        raise Invalid([Problem(code, f"Send 1 to {MAX_BATCH} events at once, not {len(events)}.", "events")])
    return events


# Gives the good ones with their indexes, and what is wrong with the others.
def _sort_out(raw: list[Any]) -> tuple[list[int], list[Incoming], list[dict[str, Any]]]:
    indexes: list[int] = []
    events: list[Incoming] = []
    refused: list[dict[str, Any]] = []
    for index, each in enumerate(raw):
        try:
            events.append(event_form.read(each))
            indexes.append(index)
        except Invalid as invalid:
            refused.append({"index": index, "errors": [problem.as_json() for problem in invalid.problems]})
    return indexes, events, refused
