"""Statistics of a flow: counted from the log by projections, a second or so behind what happens."""

from __future__ import annotations

from datetime import UTC, date
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from engine.analytics import experiments, nodes
from engine.analytics.period import LONGEST_DAYS, Period
from engine.analytics.summary import summary
from flows.models import Flow
from tenants.api.base import TenantRequest, TenantView
from tenants.errors import Invalid, NotFound, Problem

GREATEST = 2**31 - 1
MOST_NODES = 500


@extend_schema_field(OpenApiTypes.DATE)
class DayField(serializers.DateField):
    """A day, or a moment of it; days are those of UTC."""

    def to_internal_value(self, value: Any) -> date:
        """Take the day of a moment too."""
        if isinstance(value, str) and "T" in value:
            return serializers.DateTimeField(default_timezone=UTC).to_internal_value(value).astimezone(UTC).date()
        return super().to_internal_value(value)


class PeriodFilters(serializers.Serializer[Any]):
    """Which days and which version a report is about."""

    to = DayField(required=False, help_text="The last day, included; today without it.")
    version = serializers.IntegerField(required=False, min_value=1, max_value=GREATEST)

    def get_fields(self) -> dict[str, Any]:
        """Give the parameters; one of them is a word of Python's."""
        first = DayField(required=False, help_text="The first day, included; 30 days in all without it.")
        return {"from": first, **super().get_fields()}


class FunnelFilters(PeriodFilters):
    """Which nodes, beside the period."""

    node_ids = serializers.CharField(
        required=False, max_length=65 * MOST_NODES, help_text="The nodes in their order, separated by commas."
    )


class CountsShape(serializers.Serializer[Any]):
    """What happened to runs."""

    entered = serializers.IntegerField()
    completed = serializers.IntegerField()
    exited = serializers.IntegerField()
    failed = serializers.IntegerField()
    compensated = serializers.IntegerField()


class CountsWithLiveShape(CountsShape):
    """The same, with the live runs of now."""

    active = serializers.IntegerField()
    waiting = serializers.IntegerField()


class VersionCountsShape(CountsWithLiveShape):
    """What happened to the runs of a version."""

    version = serializers.IntegerField()


class DayCountsShape(CountsShape):
    """What happened on a day."""

    day = serializers.DateField()


class RateShape(serializers.Serializer[Any]):
    """How many of those who entered converted."""

    converted = serializers.IntegerField()
    rate = serializers.FloatField()
    interval = serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2)


class GoalShape(RateShape):
    """How many of those who entered reached a goal."""

    goal = serializers.CharField()


class ConversionShape(RateShape):
    """How many of those who entered reached any goal, and each."""

    entered = serializers.IntegerField()
    goals = GoalShape(many=True)


class GroupShape(RateShape):
    """How many of a group converted."""

    participants = serializers.IntegerField()


class HoldoutShape(serializers.Serializer[Any]):
    """Those who went through the flow against those who were kept out of it."""

    kept_out = GroupShape()
    treated = GroupShape()
    lift = serializers.FloatField(allow_null=True)
    p_value = serializers.FloatField()


class PeriodView(TenantView):
    """What is told of some days."""

    class Filters(PeriodFilters):
        """Which days and which version."""

    def period(self) -> tuple[Period, dict[str, Any]]:
        """Give the period, and the other parameters."""
        given = self.filters()
        period = Period.of(given.pop("from", None), given.pop("to", None))
        if not 1 <= len(period) <= LONGEST_DAYS:
            detail = f"Ask for 1 to {LONGEST_DAYS} days; from {period.first} to {period.last} is not that."
            raise Invalid([Problem("invalid", detail, "from")])
        return period, given


class AnalyticsView(PeriodView):
    """What is told of a flow."""

    def asked(self, flow_id: str) -> tuple[Flow, Period, dict[str, Any]]:
        """Give the flow, the period, and the other parameters."""
        flow = self.get_row(Flow, flow_id)
        return flow, *self.period()


class SummaryView(AnalyticsView):
    """A flow in figures."""

    class Output(CountsWithLiveShape):
        """Totals of the period; `active` and `waiting` are those of now."""

        by_version = VersionCountsShape(many=True)
        by_day = DayCountsShape(many=True)
        conversion = ConversionShape()
        holdout = HoldoutShape(allow_null=True, help_text="Null where nobody was kept out.")

    def get(self, request: TenantRequest, flow_id: str) -> Response:
        """Tell who came, where they are, how it ended."""
        flow, period, given = self.asked(flow_id)
        return Response(self.Output(summary(flow, period, **given)).data)


class NodeOutput(serializers.Serializer[Any]):
    """A node in figures; `waiting` is that of now."""

    node_id = serializers.CharField()
    entered = serializers.IntegerField()
    completed = serializers.IntegerField()
    waiting = serializers.IntegerField()
    failed = serializers.IntegerField()
    branches = serializers.DictField(child=serializers.IntegerField())
    p50_s = serializers.FloatField()
    p95_s = serializers.FloatField()


class NodesView(AnalyticsView):
    """The nodes of a flow in figures."""

    @extend_schema(responses=NodeOutput(many=True))
    def get(self, request: TenantRequest, flow_id: str) -> Response:
        """Tell what happened at each node, which branches were taken, and how long it took."""
        flow, period, given = self.asked(flow_id)
        return Response(NodeOutput(nodes.nodes(flow, period, **given), many=True).data)


class FunnelOutput(serializers.Serializer[Any]):
    """How many of those who entered reached a node, and their percentage."""

    node_id = serializers.CharField()
    reached = serializers.IntegerField()
    percent = serializers.FloatField()


class FunnelView(AnalyticsView):
    """How far runs came."""

    class Filters(FunnelFilters):
        """Which nodes, days and version."""

    @extend_schema(responses=FunnelOutput(many=True))
    def get(self, request: TenantRequest, flow_id: str) -> Response:
        """Tell how many of those who entered in the period have reached each node since."""
        flow, period, given = self.asked(flow_id)
        wanted = [each for each in given.pop("node_ids", "").split(",") if each]
        unknown = set(wanted) - nodes.find(flow, wanted).keys()
        if unknown:
            detail = f"No version of the flow has a node {min(unknown)!r}."
            raise Invalid([Problem("unknown_node", detail, "node_ids")])
        return Response(FunnelOutput(nodes.funnel(flow, period, node_ids=wanted, **given), many=True).data)


class VariantOutput(serializers.Serializer[Any]):
    """A variant in figures; `winner` where its lead is hardly chance."""

    variant = serializers.CharField()
    participants = serializers.IntegerField()
    conversions = serializers.IntegerField()
    rate = serializers.FloatField()
    interval = serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2)
    p_value = serializers.FloatField()
    winner = serializers.BooleanField()


class ABResultsView(AnalyticsView):
    """What came of a split."""

    @extend_schema(responses=VariantOutput(many=True))
    def get(self, request: TenantRequest, flow_id: str, node_id: str) -> Response:
        """Compare the variants of an `ab_split` by its `metric`, or by any goal."""
        flow, period, given = self.asked(flow_id)
        node = nodes.find(flow, [node_id]).get(node_id)
        if node is None or node.type != "ab_split":
            raise NotFound(f"No version of the flow has an ab_split {node_id!r}.")
        return Response(VariantOutput(experiments.results(flow, node, period, **given), many=True).data)
