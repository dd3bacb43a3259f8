"""Drafts: the graphs that can still change."""

from typing import Any

from django.db import transaction
from django.db.models import Max

from flows import locks
from flows.errors import FlowArchived, InvalidGraph, VersionPublished
from flows.graph.model import read
from flows.models import Flow, FlowVersion
from flows.models.flow import FlowStatus
from flows.models.version import VersionStatus


def create_draft(flow: Flow, graph: Any, *, changelog: str = "") -> FlowVersion:
    """Add a draft with the flow's next number; an incomplete graph is kept, what is none at all is refused."""
    _refuse_what_is_no_graph(graph)
    with transaction.atomic():
        # Numbers are handed out under the flow's lock, so that none is given twice.
        if locks.hold(flow).status == FlowStatus.ARCHIVED:
            raise FlowArchived
        last = flow.versions.aggregate(last=Max("number"))["last"] or 0
        return FlowVersion.objects.create(
            tenant_id=flow.tenant_id, flow=flow, number=last + 1, graph=graph, changelog=changelog
        )


def update_draft(version: FlowVersion, **changes: Any) -> FlowVersion:
    """Change `graph`, `changelog` or both, as long as the version is a draft."""
    if "graph" in changes:
        _refuse_what_is_no_graph(changes["graph"])
    with transaction.atomic():
        if locks.hold(version).status != VersionStatus.DRAFT:
            raise VersionPublished
        for field in ("graph", "changelog"):
            setattr(version, field, changes.get(field, getattr(version, field)))
        version.save(update_fields=["graph", "changelog"])
    return version


def newest(flow: Flow, *, status: str | None = None) -> FlowVersion | None:
    """Give the flow's version with the highest number, of one status if asked."""
    versions = flow.versions.order_by("-number")
    return (versions.filter(status=status) if status else versions).first()


def _refuse_what_is_no_graph(raw: object) -> None:
    graph, problems = read(raw)
    if graph is None:
        raise InvalidGraph(problems)
