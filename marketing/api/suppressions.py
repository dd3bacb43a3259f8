"""Suppressions over REST: addresses that nothing is sent to."""

from __future__ import annotations

from typing import Any

import structlog
from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from marketing.channels.recipients import normalised
from marketing.deliveries import suppressions
from marketing.deliveries.suppressions import New
from marketing.models import CHANNELS, Suppression
from tenants.api.base import TenantRequest, TenantView
from tenants.api.parts import Part
from tenants.errors import Invalid, NameTaken, Problem

log = structlog.get_logger(__name__)


class SuppressionInput(serializers.Serializer[Any]):
    """An address that is to get nothing more."""

    channel = serializers.ChoiceField(CHANNELS)
    address = serializers.CharField(max_length=512)
    note = serializers.CharField(max_length=500, required=False, allow_blank=True)


class SuppressionShape(serializers.Serializer[Suppression]):
    """An address that gets nothing, why, and since when."""

    id = serializers.UUIDField()
    channel = serializers.CharField()
    address = serializers.CharField()
    reason = serializers.ChoiceField(suppressions.REASONS)
    detail = serializers.DictField()
    created_at = serializers.DateTimeField()


class SuppressionsView(TenantView):
    """The tenant's suppressed addresses."""

    class Filters(serializers.Serializer[Any]):
        """Of a channel, or one address in any spelling."""

        channel = serializers.ChoiceField(CHANNELS, required=False)
        address = serializers.CharField(max_length=512, required=False)

    paginated = True
    Output = SuppressionShape

    def get(self, request: TenantRequest) -> Response:
        """List suppressed addresses, newest first."""
        asked = self.filters()
        along = {"tenant_id": request.tenant.pk, **({"channel": asked["channel"]} if "channel" in asked else {})}
        part = Part(along)
        if "address" in asked:
            channels = [asked["channel"]] if "channel" in asked else CHANNELS
            spelt = {(channel, normalised(channel, asked["address"])) for channel in channels}
            part = Part(also=Q(channel__in=channels, address__in={address for _, address in spelt}))
        return self.paginate(Suppression.objects.get_queryset(), SuppressionShape, parts=[part])

    @extend_schema(request=SuppressionInput, responses={201: SuppressionShape})
    def post(self, request: TenantRequest) -> Response:
        """Send nothing more to an address."""
        given = self.parse(SuppressionInput)
        channel, address = given["channel"], normalised(given["channel"], given["address"])
        if not address:
            raise Invalid([Problem("invalid", f"This is no address of the channel {channel}.", "address")])
        detail = {"by": request.principal.actor, **({"note": given["note"]} if given.get("note") else {})}
        if not suppressions.suppress_many(request.tenant.pk, [New(channel, address, "manual", detail)]):
            raise NameTaken("Nothing is sent to this address already.", attr="address")
        row = Suppression.objects.for_tenant(request.tenant).get(channel=channel, address=address)
        return Response(SuppressionShape(row).data, status=201)


class SuppressionView(TenantView):
    """One suppressed address."""

    Output = SuppressionShape

    def get(self, request: TenantRequest, suppression_id: str) -> Response:
        """Show why nothing is sent to an address."""
        return Response(SuppressionShape(self.get_row(Suppression, suppression_id)).data)

    def delete(self, request: TenantRequest, suppression_id: str) -> Response:
        """Let messages go to the address again; a provider that still refuses it has it suppressed again."""
        row = self.get_row(Suppression, suppression_id)
        log.info("suppression.lifted", suppression=str(row.pk), channel=row.channel, reason=row.reason)
        row.delete()
        return Response(status=204)
