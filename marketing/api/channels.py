"""Channels over REST: what carries a tenant's messages; credentials go in and never come out."""

from __future__ import annotations

from typing import Any, Final

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from marketing.channels import editing, registry
from marketing.models import CHANNELS, Channel, ChannelGate
from tenants.api.base import TenantRequest, TenantView

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$"
FASTEST: Final = 100_000
PLAIN: Final = (
    "id", "name", "channel", "provider", "config", "is_default", "enabled", "rate_per_second", "created_at",
    "updated_at",
)  # fmt: skip


class ChannelFields(serializers.Serializer[Any]):
    """What can be changed of a channel; credentials replace those that there were."""

    name = serializers.RegexField(NAME, required=False)
    config = serializers.DictField(required=False)
    credentials = serializers.DictField(required=False, write_only=True)
    is_default = serializers.BooleanField(required=False)
    enabled = serializers.BooleanField(required=False)
    rate_per_second = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=FASTEST)


class ChannelInput(ChannelFields):
    """A new channel."""

    name = serializers.RegexField(NAME)
    channel = serializers.ChoiceField(CHANNELS)
    provider = serializers.CharField(max_length=32)


class HealthShape(serializers.Serializer[Any]):
    """Whether messages go through; `rests_until` is when the next try is made after failures in a row."""

    state = serializers.ChoiceField(["working", "resting"])
    failures = serializers.IntegerField()
    rests_until = serializers.DateTimeField(allow_null=True)


class ChannelShape(serializers.Serializer[Any]):
    """A channel; of its credentials only whether there are any."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    channel = serializers.CharField()
    provider = serializers.CharField()
    config = serializers.DictField()
    has_credentials = serializers.BooleanField()
    is_default = serializers.BooleanField()
    enabled = serializers.BooleanField()
    rate_per_second = serializers.IntegerField(allow_null=True)
    health = HealthShape()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ProviderShape(serializers.Serializer[Any]):
    """A provider, with the schemas that forms are drawn from."""

    name = serializers.CharField()
    title = serializers.CharField()
    channels = serializers.ListField(child=serializers.CharField())
    config_schema = serializers.DictField()
    credentials_schema = serializers.DictField()


class ProvidersShape(serializers.Serializer[Any]):
    """All of them: what is installed fits on one page."""

    results = ProviderShape(many=True)


class ChannelsView(TenantView):
    """The tenant's channels."""

    class Filters(serializers.Serializer[Any]):
        """Of one kind only."""

        channel = serializers.ChoiceField(CHANNELS, required=False)

    paginated = True
    Output = ChannelShape

    def get(self, request: TenantRequest) -> Response:
        """List channels, newest first."""
        rows = Channel.objects.for_tenant(request.tenant).filter(**self.filters()).select_related("gate")
        return self.paginate(rows, shape_of)

    @extend_schema(request=ChannelInput, responses={201: ChannelShape})
    def post(self, request: TenantRequest) -> Response:
        """Set up a channel; the first of its kind is the default."""
        return Response(shape_of(editing.create(request.tenant, self.parse(ChannelInput))), status=201)


class ChannelView(TenantView):
    """One channel."""

    Output = ChannelShape

    def get(self, request: TenantRequest, channel_id: str) -> Response:
        """Show a channel and whether messages go through."""
        return Response(shape_of(self.get_row(Channel, channel_id)))

    @extend_schema(request=ChannelFields)
    def patch(self, request: TenantRequest, channel_id: str) -> Response:
        """Change a channel; within a few seconds every process sends by it."""
        row = self.get_row(Channel, channel_id)
        return Response(shape_of(editing.change(row, self.parse(ChannelFields))))

    def delete(self, request: TenantRequest, channel_id: str) -> Response:
        """Delete a channel and its credentials; what is queued goes by the default one, or fails for want of one."""
        editing.delete(self.get_row(Channel, channel_id))
        return Response(status=204)


class ProvidersView(TenantView):
    """The providers that a channel can have."""

    Output = ProvidersShape

    def get(self, request: TenantRequest) -> Response:
        """List all providers by name, with what each needs to be told."""
        return Response({"results": [registry.describe(each) for each in registry.all()]})


def shape_of(row: Channel) -> dict[str, Any]:
    """A channel as clients see it."""
    facts = {name: getattr(row, name) for name in PLAIN}
    shown = ChannelShape({**facts, "has_credentials": bool(row.ciphertext), "health": _health(row)})
    return dict(shown.data)


def _health(row: Channel) -> dict[str, Any]:
    gate: ChannelGate | None = getattr(row, "gate", None)
    until = None if gate is None else gate.closed_until
    rests = until is not None and until > now()
    failures = 0 if gate is None else gate.failures
    return {"state": "resting" if rests else "working", "failures": failures, "rests_until": until if rests else None}
