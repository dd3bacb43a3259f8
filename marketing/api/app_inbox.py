"""The in-app inbox over REST: what an app shows to a customer, and what the customer does with it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from marketing.deliveries import app_inbox
from marketing.models import Delivery
from marketing.models.delivery import DeliveryStatus
from tenants.api.base import TenantRequest, TenantView


class ActInput(serializers.Serializer[Any]):
    """Nothing is to be said."""


class InboxMessage(serializers.Serializer[Any]):
    """A message as an app shows it."""

    id = serializers.UUIDField()
    placement = serializers.CharField(allow_null=True)
    title = serializers.CharField(allow_null=True)
    body = serializers.CharField(allow_null=True)
    image = serializers.CharField(allow_null=True)
    action_label = serializers.CharField(allow_null=True)
    action_url = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(DeliveryStatus.choices)
    read_at = serializers.DateTimeField(allow_null=True)
    dismissed_at = serializers.DateTimeField(allow_null=True)
    shown_until = serializers.DateTimeField(allow_null=True)
    sent_at = serializers.DateTimeField(allow_null=True)


class CustomerInboxView(TenantView):
    """A customer's inbox."""

    class Filters(serializers.Serializer[Any]):
        """Where it is shown, and whether it has been read."""

        placement = serializers.CharField(required=False, max_length=64)
        unread = serializers.BooleanField(required=False)

    paginated = True
    Output = InboxMessage

    def get(self, request: TenantRequest, external_id: str) -> Response:
        """List messages that are neither dismissed nor over, newest first."""
        asked = self.filters()
        rows = app_inbox.messages(request.tenant, external_id)
        if "placement" in asked:
            rows = rows.filter(payload__placement=asked["placement"])
        if "unread" in asked:
            rows = rows.filter(read_at__isnull=asked["unread"])
        return self.paginate(rows, shape_of)


class InboxActView(TenantView):
    """What a customer does with a message."""

    @extend_schema(request=ActInput, responses={200: InboxMessage})
    def post(self, request: TenantRequest, delivery_id: str) -> Response:
        """Note it; done twice, it counts once."""
        rows = Delivery.objects.filter(channel=app_inbox.CHANNEL, status__in=app_inbox.SHOWN)
        message = self.get_row(rows, delivery_id)
        self.parse(ActInput)
        return Response(shape_of(self.act(message)))

    def act(self, message: Delivery) -> Delivery:
        """Note what was done."""
        raise NotImplementedError


class InboxReadView(InboxActView):
    """The customer has read a message."""

    def act(self, message: Delivery) -> Delivery:
        """Read it."""
        return app_inbox.read(message)


class InboxClickView(InboxActView):
    """The customer has taken up what a message offers."""

    def act(self, message: Delivery) -> Delivery:
        """Take up what it offers."""
        return app_inbox.click(message)


class InboxDismissView(InboxActView):
    """The customer does not want to see a message any more."""

    def act(self, message: Delivery) -> Delivery:
        """Dismiss it."""
        return app_inbox.dismiss(message)


def shape_of(message: Delivery) -> dict[str, Any]:
    """A message as apps see it."""
    said = message.rendered or {}
    parts = {name: said.get(name) for name in ("title", "body", "image", "action_label", "action_url")}
    facts = {name: getattr(message, name) for name in ("id", "status", "read_at", "dismissed_at", "sent_at")}
    return dict(
        InboxMessage(
            {**parts, **facts, "shown_until": message.shown_until, "placement": message.payload.get("placement")}
        ).data
    )
