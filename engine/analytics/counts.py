"""Reading what projections counted: sums over the days of a report, of the build that readers take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Sum

from engine.analytics.flow_statistics import FlowStatistics
from engine.analytics.node_statistics import NodeStatistics
from engine.analytics.period import Period
from engine.models.statistics import CohortStatistic, Counted, FlowStatistic, NodeStatistic
from engine.projections import checkpoints
from flows.models import Flow

PROJECTION_OF: dict[type[Counted], str] = {
    FlowStatistic: FlowStatistics.name,
    NodeStatistic: NodeStatistics.name,
    CohortStatistic: NodeStatistics.name,
}


def totals(
    model: type[Counted], flow: Flow, period: Period, version: int | None, *by: str, **exactly: Any
) -> Iterator[tuple[Any, ...]]:
    """Give the sums of a flow's counts for each value of the columns `by`: the values, and the sum."""
    rows = model.objects.for_tenant(flow.tenant_id).filter(
        flow_id=flow.pk,
        build=checkpoints.live_build(PROJECTION_OF[model]),
        day__range=(period.first, period.last),
        **exactly,
    )
    if version is not None:
        rows = rows.filter(version=version)
    return iter(rows.order_by(*by).values_list(*by).annotate(total=Sum("n")))
