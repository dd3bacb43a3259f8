"""What the API and the admin read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import BooleanField, F, Func, OuterRef, Q, QuerySet, Subquery, TextField, Value

from flows.models import ExecutionStep, Flow, FlowInstance, FlowVersion
from flows.models.instance import InstanceStatus
from tenants.api.parts import Part
from tenants.models import Tenant

# Instances are listed by when they entered, the last first.
ORDER: Final = ("-entered_at", "-id")

FEW_VERSIONS: Final = 50

# The states in which an instance has tokens and does not move by itself: those of the indexes of nodes.
STANDING = (InstanceStatus.WAITING, InstanceStatus.PAUSED, InstanceStatus.COMPENSATING, InstanceStatus.FAILED)


def flows(tenant: Tenant | UUID) -> QuerySet[Flow]:
    """Give a tenant's flows, each with its `latest_number`, newest first; never their graphs."""
    return with_latest_number(Flow.objects.for_tenant(tenant)).order_by("-id")


def with_latest_number(rows: QuerySet[Flow]) -> QuerySet[Flow]:
    """Add what a list of flows shows of their versions."""
    newest = FlowVersion.objects.filter(flow=OuterRef("pk")).order_by("-number").values("number")[:1]
    return rows.select_related("active_version").defer("active_version__graph").annotate(latest_number=Subquery(newest))


def called(search: str, *, statuses: Iterable[str] = ()) -> Part:
    """Give the flows with this in their names; the index knows a name by its pairs of characters."""
    some = Q(status__in=list(statuses)) if statuses else Q()
    pairs = (Func(each, function="flow_name_pairs") for each in (F("name"), Value(search, TextField())))
    has_pairs = Func(*pairs, arg_joiner=" @> ", template="%(expressions)s", output_field=BooleanField())
    return Part(also=some & Q(name__icontains=search), hint=Q(has_pairs) if len(search) > 1 else Q())


def versions(flow: Flow) -> QuerySet[FlowVersion]:
    """Give a flow's versions, newest first."""
    return flow.versions.order_by("-number")


@dataclass(frozen=True, slots=True)
class Listing:
    """A tenant's instances, and the parts of the list: each has an index in its order."""

    tenant_id: UUID
    rows: QuerySet[FlowInstance]
    parts: tuple[Part, ...]

    @property
    def whole(self) -> QuerySet[FlowInstance]:
        """All parts as one queryset, for whoever reads it to the end."""
        conditions = (part.condition for part in self.parts)
        return self.rows.filter(reduce(or_, conditions, Q()), tenant_id=self.tenant_id).order_by(*ORDER)


def instances(  # noqa: PLR0913  # one keyword for each thing that can be asked for
    tenant: Tenant,
    *,
    statuses: Iterable[str] = (),
    node_id: str | None = None,
    flow_id: UUID | None = None,
    version: int | None = None,
    entered_after: datetime | None = None,
    entered_before: datetime | None = None,
    **exactly: Any,
) -> Listing:
    """Give a tenant's instances; `exactly` are columns with the value they must have."""
    asked = Q(**exactly) & (Q() if version is None else _of_version(tenant.pk, version, flow_id))
    if entered_after is not None:
        asked &= Q(entered_at__gt=entered_after)
    if entered_before is not None:
        asked &= Q(entered_at__lt=entered_before)
    whose = {"tenant_id": tenant.pk} if flow_id is None else {"flow_id": flow_id}
    wanted = tuple(dict.fromkeys(statuses)) or tuple(InstanceStatus.values)
    rows = with_names(FlowInstance.objects.get_queryset())
    if "participant_id" in exactly:
        standing = Q() if node_id is None else _token_at(node_id)
        return Listing(tenant.pk, rows, (Part(also=asked & standing & Q(**whose, status__in=wanted)),))
    if node_id is None:
        return Listing(tenant.pk, rows, tuple(Part({**whose, "status": each}, asked) for each in wanted))
    parts = tuple(Part(part.along, part.also & asked) for part in _at_node(tenant.pk, node_id, whose, wanted))
    # Whoever has ended stands nowhere.
    return Listing(tenant.pk, _with_places(rows), parts or (Part(also=Q(pk__in=())),))


# By the ids of the versions where they are few: no join then, and nothing is read where no version has the number.
def _of_version(tenant_id: UUID, number: int, flow_id: UUID | None) -> Q:
    known = FlowVersion.objects.for_tenant(tenant_id).filter(number=number)
    ids = (known if flow_id is None else known.filter(flow_id=flow_id)).values_list("pk", flat=True)
    some = list(ids[: FEW_VERSIONS + 1])
    return Q(version_id__in=some) if len(some) <= FEW_VERSIONS else Q(version__number=number)


# A run that is under way moves on by itself, so there are few of them, and the indexes of nodes know only the others:
# by the node of the first token, and those who have several by the nodes of all.
def _at_node(tenant_id: UUID, node_id: str, whose: dict[str, UUID], wanted: Sequence[str]) -> Iterator[Part]:
    standing = [status for status in STANDING if status in wanted]
    for status in standing:
        yield Part({**whose, "first_node": node_id, "status": status}, Q(status__in=STANDING))
    if standing:
        places = Q(places__contains=[f"{tenant_id}:{node_id}"], has_several=True, status__in=standing)
        yield Part(also=Q(**whose) & places)
    if InstanceStatus.RUNNING in wanted:
        yield Part({**whose, "status": InstanceStatus.RUNNING}, _token_at(node_id))


def _token_at(node_id: str) -> Q:
    return Q(current_nodes__contains=[{"node_id": node_id}])


# As the indexes `instance_at_node`, `instance_of_flow_at_node` and `instance_at_nodes` have them.
def _with_places(rows: QuerySet[FlowInstance]) -> QuerySet[FlowInstance]:
    tokens = F("current_nodes")
    return rows.alias(
        first_node=Func(tokens, template="(%(expressions)s -> 0 ->> 'node_id')", output_field=TextField()),
        has_several=Func(tokens, template="(%(expressions)s -> 1 IS NOT NULL)", output_field=BooleanField()),
        places=Func("tenant_id", tokens, function="instance_places", output_field=ArrayField(TextField())),
    )


def with_names(rows: QuerySet[FlowInstance]) -> QuerySet[FlowInstance]:
    """Add what a list of instances shows of their flows and versions; never the graphs."""
    return rows.select_related("flow", "version").defer("version__graph")


def steps(instance: FlowInstance) -> QuerySet[ExecutionStep]:
    """Give an instance's steps in the order in which they began."""
    return ExecutionStep.objects.filter(instance=instance).order_by("n")
