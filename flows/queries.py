"""What the API and the admin read."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import Func, OuterRef, Q, QuerySet, Subquery, TextField

from flows.models import ExecutionStep, Flow, FlowInstance, FlowVersion
from flows.models.instance import InstanceStatus
from tenants.models import Tenant

# The states in which an instance has tokens and does not move by itself: those of the index `instance_at_node`.
STANDING = (InstanceStatus.WAITING, InstanceStatus.PAUSED, InstanceStatus.COMPENSATING, InstanceStatus.FAILED)


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


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows, newest first, and the conditions that cut them into parts: each part has an index in that order."""

    rows: QuerySet[FlowInstance]
    parts: tuple[Q, ...]

    @property
    def whole(self) -> QuerySet[FlowInstance]:
        """All parts as one queryset, for whoever reads it to the end."""
        return self.rows.filter(reduce(or_, self.parts, Q()))


def instances(
    tenant: Tenant,
    *,
    statuses: Iterable[str] = (),
    node_id: str | None = None,
    entered_after: datetime | None = None,
    entered_before: datetime | None = None,
    **exactly: Any,
) -> Listing:
    """Give a tenant's instances, newest first; `exactly` are columns with the value they must have."""
    rows = with_names(FlowInstance.objects.for_tenant(tenant)).filter(**exactly).order_by("-id")
    if entered_after is not None:
        rows = rows.filter(entered_at__gt=entered_after)
    if entered_before is not None:
        rows = rows.filter(entered_at__lt=entered_before)
    wanted = tuple(statuses) or tuple(InstanceStatus.values)
    if node_id is not None:
        return Listing(rows.alias(places=_Places("tenant_id", "current_nodes")), _at_node(tenant.pk, node_id, wanted))
    # A participant has few; all other lists are read status by status.
    parts = [Q(status__in=wanted)] if "participant_id" in exactly else [Q(status=each) for each in wanted]
    return Listing(rows, tuple(parts))


# A run that is under way moves on by itself, so there are few of them, and the index knows only the others.
def _at_node(tenant_id: UUID, node_id: str, wanted: Iterable[str]) -> tuple[Q, ...]:
    parts = [Q(status__in=[each for each in STANDING if each in wanted], places__contains=[f"{tenant_id}:{node_id}"])]
    if InstanceStatus.RUNNING in wanted:
        parts.append(Q(status=InstanceStatus.RUNNING, current_nodes__contains=[{"node_id": node_id}]))
    return tuple(parts)


class _Places(Func):
    function = "instance_places"
    output_field = ArrayField(TextField())


def with_names(rows: QuerySet[FlowInstance]) -> QuerySet[FlowInstance]:
    """Add what a list of instances shows of their flows and versions; never the graphs."""
    return rows.select_related("flow", "version").defer("version__graph")


def steps(instance: FlowInstance) -> QuerySet[ExecutionStep]:
    """Give an instance's steps in the order in which they began."""
    return ExecutionStep.objects.filter(instance=instance).order_by("n")
