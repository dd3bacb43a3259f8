"""What the API and the admin read."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from flows.models import ExecutionStep, Flow, FlowInstance, FlowVersion
from flows.models.instance import LIVE, InstanceStatus
from tenants.models import Tenant

# The states in which an instance has tokens; the others stand nowhere.
STANDING = (*LIVE, InstanceStatus.FAILED)


def flows(tenant: Tenant | UUID) -> QuerySet[Flow]:
    """Give a tenant's flows, each with its `latest_number`, newest first; never their graphs."""
    return with_latest_number(Flow.objects.for_tenant(tenant)).order_by("-id")


def with_latest_number(rows: QuerySet[Flow]) -> QuerySet[Flow]:
    """Add what a list of flows shows of their versions."""
    newest = FlowVersion.objects.filter(flow=OuterRef("pk")).order_by("-number").values("number")[:1]
    return rows.select_related("active_version").defer("active_version__graph").annotate(latest_number=Subquery(newest))


def versions(flow: Flow) -> QuerySet[FlowVersion]:
    """Give a flow's versions, newest first."""
    return flow.versions.order_by("-number")


def instances(
    tenant: Tenant,
    *,
    statuses: Iterable[str] = (),
    node_id: str | None = None,
    entered_after: datetime | None = None,
    entered_before: datetime | None = None,
    **exactly: Any,
) -> QuerySet[FlowInstance]:
    """Give a tenant's instances, newest first; `exactly` are columns with the value they must have."""
    rows = with_names(FlowInstance.objects.for_tenant(tenant)).filter(**exactly).order_by("-id")
    if statuses := list(statuses):
        rows = rows.filter(status__in=statuses)
    if node_id is not None:
        rows = rows.filter(status__in=STANDING, current_nodes__contains=[{"node_id": node_id}])
    if entered_after is not None:
        rows = rows.filter(entered_at__gt=entered_after)
    if entered_before is not None:
        rows = rows.filter(entered_at__lt=entered_before)
    return rows


def with_names(rows: QuerySet[FlowInstance]) -> QuerySet[FlowInstance]:
    """Add what a list of instances shows of their flows and versions; never the graphs."""
    return rows.select_related("flow", "version").defer("version__graph")


def steps(instance: FlowInstance) -> QuerySet[ExecutionStep]:
    """Give an instance's steps in the order in which they began."""
    return ExecutionStep.objects.filter(instance=instance).order_by("n")
