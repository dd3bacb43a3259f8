"""How journeys do, for lists of them: the figures of their flows, all in the statement of the list."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from engine.analytics.counts import PROJECTION_OF
from engine.models.statistics import CohortStatistic, Counted, FlowStatistic
from engine.projections import checkpoints
from flows.models import FlowInstance
from flows.models.instance import LIVE
from marketing.models import Journey


def with_figures(journeys: QuerySet[Journey]) -> QuerySet[Journey]:
    """Add `entered`, `completed` and `converted` since ever, and `inside`, who is in the flow now."""
    live = FlowInstance.objects.filter(tenant=OuterRef("tenant"), flow=OuterRef("flow"), status__in=LIVE)
    inside = live.order_by().values("flow").annotate(n=Count("pk")).values("n")
    return journeys.annotate(
        entered=_sum(FlowStatistic, kind="entered"),
        completed=_sum(FlowStatistic, kind="completed"),
        converted=_sum(CohortStatistic, kind="converted", node_id="", goal=""),
        inside=Coalesce(Subquery(inside), 0, output_field=IntegerField()),
    )


def _sum(model: type[Counted], **exactly: Any) -> Coalesce:
    rows = model.objects.filter(
        tenant_id=OuterRef("tenant"),
        flow_id=OuterRef("flow"),
        build=checkpoints.live_build(PROJECTION_OF[model]),
        **exactly,
    )
    summed = rows.order_by().values("flow_id").annotate(total=Sum("n")).values("total")
    return Coalesce(Subquery(summed), 0, output_field=IntegerField())
