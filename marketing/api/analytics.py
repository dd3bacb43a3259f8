"""Messages and conversions over REST: in figures, and conversions one by one."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine.api.analytics import AnalyticsView, PeriodFilters, PeriodView
from marketing.models import Conversion
from marketing.tallies import reading
from tenants.api.base import TenantRequest, TenantView
from tenants.api.parts import Part


class RatesShape(serializers.Serializer[Any]):
    """Shares: delivered, bounced and complained of what was sent, opened and clicked of what was delivered."""

    delivered = serializers.FloatField()
    bounced = serializers.FloatField()
    complained = serializers.FloatField()
    opened = serializers.FloatField()
    clicked = serializers.FloatField()


class MessagesShape(serializers.Serializer[Any]):
    """What became of the messages that were made in the period; who came to a status has come to those before it."""

    queued = serializers.IntegerField()
    sent = serializers.IntegerField(help_text="Handed over to a provider.")
    delivered = serializers.IntegerField()
    opened = serializers.IntegerField()
    clicked = serializers.IntegerField()
    bounced = serializers.IntegerField()
    complained = serializers.IntegerField()
    skipped = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    unknown = serializers.IntegerField()
    skipped_by_reason = serializers.DictField(child=serializers.IntegerField())
    failed_by_reason = serializers.DictField(child=serializers.IntegerField())
    rates = RatesShape()


class ChannelOutput(MessagesShape):
    """A channel in figures."""

    channel = serializers.CharField()


class NodeMessagesOutput(ChannelOutput):
    """The messages of a node in figures, with the conversions that are put down to them."""

    node_id = serializers.CharField()
    conversions = serializers.IntegerField()


class ChannelFilters(PeriodFilters):
    """Which messages, beside the period."""

    flow_id = serializers.UUIDField(required=False)
    node_id = serializers.CharField(required=False, max_length=64)


class FlowChannelFilters(PeriodFilters):
    """Which messages of a flow."""

    node_id = serializers.CharField(required=False, max_length=64)


class ChannelsView(PeriodView):
    """The channels of a tenant in figures."""

    class Filters(ChannelFilters):
        """Which messages."""

    @extend_schema(responses=ChannelOutput(many=True))
    def get(self, request: TenantRequest) -> Response:
        """Tell what became of messages, by channel."""
        period, given = self.period()
        return Response(ChannelOutput(reading.channels(request.tenant.pk, period, **given), many=True).data)


class FlowChannelsView(AnalyticsView):
    """The channels of a flow in figures."""

    class Filters(FlowChannelFilters):
        """Which messages of the flow."""

    @extend_schema(responses=ChannelOutput(many=True))
    def get(self, request: TenantRequest, flow_id: str) -> Response:
        """Tell what became of the flow's messages, by channel."""
        flow, period, given = self.asked(flow_id)
        found = reading.channels(request.tenant.pk, period, flow_id=flow.pk, **given)
        return Response(ChannelOutput(found, many=True).data)


class FlowMessagesView(AnalyticsView):
    """The messages of a flow in figures."""

    @extend_schema(responses=NodeMessagesOutput(many=True))
    def get(self, request: TenantRequest, flow_id: str) -> Response:
        """Tell what became of the flow's messages, by node; nodes without any are left out."""
        flow, period, given = self.asked(flow_id)
        return Response(NodeMessagesOutput(reading.messages(flow, period, **given), many=True).data)


class RevenueShape(serializers.Serializer[Any]):
    """What conversions were worth in a currency."""

    currency = serializers.CharField(allow_blank=True)
    value = serializers.DecimalField(max_digits=30, decimal_places=4)


class AttributedShape(serializers.Serializer[Any]):
    """What conversions are put down to: a click on a message, its being sent, or none."""

    click = serializers.IntegerField()
    send = serializers.IntegerField()
    none = serializers.IntegerField()


class GoalOutput(serializers.Serializer[Any]):
    """A goal in figures, by the day on which it was reached."""

    goal = serializers.CharField()
    conversions = serializers.IntegerField()
    held_out = serializers.IntegerField(
        help_text="By participants who were kept out of the flow; not among the others."
    )
    attributed = AttributedShape()
    revenue = RevenueShape(many=True)
    variants = serializers.DictField(child=serializers.IntegerField(), help_text="By the variant that was told.")


class FlowConversionsView(AnalyticsView):
    """The goals of a flow in figures."""

    @extend_schema(responses=GoalOutput(many=True))
    def get(self, request: TenantRequest, flow_id: str) -> Response:
        """Tell what was reached in the period, what it was worth, and what it is put down to."""
        flow, period, given = self.asked(flow_id)
        return Response(GoalOutput(reading.conversions(flow, period, **given), many=True).data)


class ConversionOutput(serializers.Serializer[Conversion]):
    """A goal that a run has reached."""

    id = serializers.UUIDField()
    flow_id = serializers.UUIDField()
    version = serializers.IntegerField()
    instance_id = serializers.UUIDField()
    participant_id = serializers.CharField()
    name = serializers.CharField()
    value = serializers.DecimalField(max_digits=18, decimal_places=4, allow_null=True)
    currency = serializers.CharField(allow_blank=True)
    variant = serializers.CharField(allow_blank=True)
    attributed_to = serializers.UUIDField(allow_null=True)
    attributed_by = serializers.ChoiceField(("click", "send", "holdout", ""))
    metadata = serializers.DictField()
    at = serializers.DateTimeField()


class ConversionsView(TenantView):
    """The tenant's conversions."""

    paginated = True
    Output = ConversionOutput

    class Filters(serializers.Serializer[Any]):
        """Which conversions to list."""

        flow_id = serializers.UUIDField(required=False)
        instance_id = serializers.UUIDField(required=False)
        participant_id = serializers.CharField(required=False, max_length=255)

    def get(self, request: TenantRequest) -> Response:
        """List conversions, newest first."""
        asked = self.filters()
        # Of one run or participant there are few; else the index of the flow is read, or that of the tenant.
        along = {"tenant_id": request.tenant.pk, **asked}
        part = Part(also=Q(**asked)) if asked.keys() - {"flow_id"} else Part(along)
        return self.paginate(Conversion.objects.get_queryset(), ConversionOutput, parts=[part])
