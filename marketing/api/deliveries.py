"""Deliveries over REST: what was sent to whom, what became of it, and sending it once more."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from flows.api.filters import Several
from marketing.deliveries import resending
from marketing.models import CHANNELS, Delivery
from marketing.models.delivery import DeliveryStatus
from tenants.api.base import TenantRequest, TenantView
from tenants.api.parts import Part
from tenants.errors import Invalid, Problem

# What a list leaves out: messages are large.
HEAVY = ("rendered", "history", "payload")


class ResendInput(serializers.Serializer[Any]):
    """Nothing is to be said."""


class HistoryEntry(serializers.Serializer[Any]):
    """One thing that happened to a message."""

    status = serializers.CharField()
    at = serializers.DateTimeField()
    detail = serializers.CharField(required=False, allow_blank=True)
    url = serializers.CharField(required=False)


class DeliverySummary(serializers.Serializer[Delivery]):
    """A message in a list."""

    id = serializers.UUIDField()
    flow_id = serializers.UUIDField(allow_null=True)
    instance_id = serializers.UUIDField(allow_null=True)
    node_id = serializers.CharField()
    participant_id = serializers.CharField()
    channel = serializers.ChoiceField(CHANNELS)
    provider = serializers.CharField()
    recipient = serializers.CharField()
    status = serializers.ChoiceField(DeliveryStatus.choices)
    reason = serializers.CharField()
    message_class = serializers.CharField()
    topic = serializers.CharField()
    template_id = serializers.CharField()
    template_version = serializers.IntegerField(allow_null=True)
    attempts = serializers.IntegerField()
    resend_of = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    sent_at = serializers.DateTimeField(allow_null=True)


class DeliveryShape(DeliverySummary):
    """A message with its words and its history."""

    rendered = serializers.DictField(allow_null=True)
    history = HistoryEntry(many=True)


class DeliveriesView(TenantView):
    """The tenant's messages."""

    class Filters(serializers.Serializer[Any]):
        """Which messages to list."""

        status = Several(DeliveryStatus.values, required=False)
        channel = serializers.ChoiceField(CHANNELS, required=False)
        participant_id = serializers.CharField(required=False, max_length=255, trim_whitespace=False)
        flow_id = serializers.UUIDField(required=False)
        instance_id = serializers.UUIDField(required=False)
        node_id = serializers.CharField(required=False, max_length=64)

    paginated = True
    Output = DeliverySummary

    def get(self, request: TenantRequest) -> Response:
        """List messages, newest first."""
        asked = self.filters()
        if "node_id" in asked and "instance_id" not in asked:
            raise Invalid([Problem("required", "A node is that of a run: ask for the instance_id too.", "instance_id")])
        rows = Delivery.objects.get_queryset().defer(*HEAVY)
        return self.paginate(rows, DeliverySummary, parts=_parts(request.tenant.pk, asked))


# Of one run or participant there are few. Else each status is read by itself: of a flow, of a channel, of all.
def _parts(tenant_id: UUID, asked: dict[str, Any]) -> list[Part]:
    statuses = dict.fromkeys(asked.pop("status", ()))
    if {"participant_id", "instance_id"} & asked.keys():
        return [Part(also=Q(**asked) & (Q(status__in=list(statuses)) if statuses else Q()))]
    along = {"tenant_id": tenant_id}
    along |= {
        name: asked.pop(name) for name in ("flow_id", "channel")[: 1 if "flow_id" in asked else 2] if name in asked
    }
    if len(along) == 1 and not statuses:
        return [Part(along)]
    return [Part({**along, "status": status}, Q(**asked)) for status in statuses or DeliveryStatus.values]


class DeliveryView(TenantView):
    """One message."""

    Output = DeliveryShape

    def get(self, request: TenantRequest, delivery_id: str) -> Response:
        """Show a message with its words and everything that has happened to it."""
        return Response(DeliveryShape(self.get_row(Delivery, delivery_id)).data)


class DeliveryResendView(TenantView):
    """Send a message once more."""

    @extend_schema(request=ResendInput, responses={201: DeliveryShape})
    def post(self, request: TenantRequest, delivery_id: str) -> Response:
        """Queue a new message that says the same, where this one was skipped, failed, bounced or is unknown."""
        delivery = self.get_row(Delivery, delivery_id)
        self.parse(ResendInput)
        return Response(DeliveryShape(resending.resend(delivery, actor=request.principal.actor)).data, status=201)
