"""Switching flows on and off: each verb locks its flow, joins its caller's transaction, decides on what is stored."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import ProtectedError

from flows import clock, locks, publishing, versions
from flows.errors import FlowArchived, FlowInUse, FlowNotDraft, IllegalTransition, NoVersion
from flows.models import Flow, FlowTrigger
from flows.models.flow import FlowStatus
from flows.models.version import VersionStatus
from tenants.models import Tenant

NAME_LENGTH = 255


class Overdue(StrEnum):
    """What becomes of waits whose time came while the flow was paused."""

    RUN = "run_overdue"
    SKIP = "skip_overdue"
    SHIFT = "shift"


@dataclass(frozen=True, slots=True)
class Resumption:
    """A flow that was paused at `paused_at` is active again since `resumed_at`."""

    flow: Flow
    overdue: Overdue
    spread_over: timedelta
    paused_at: datetime
    resumed_at: datetime


# Called in the transaction that resumes a flow, with its row locked; the engine puts its own here at start-up.
on_resume: list[Callable[[Resumption], None]] = []
# Called in the transaction that gives a flow another status, with its row locked; what is built on flows follows here.
on_move: list[Callable[[Flow], None]] = []


def create(tenant: Tenant, name: str, *, description: str = "", graph: Any = None) -> Flow:
    """Create a flow in draft; a graph becomes its version 1."""
    with transaction.atomic():
        flow = Flow.objects.create(tenant=tenant, name=name, description=description)
        if graph is not None:
            versions.create_draft(flow, graph)
    return flow


def edit(flow: Flow, **changes: str) -> Flow:
    """Change `name`, `description` or both; not when the flow is archived."""
    with _locked(flow):
        if flow.status == FlowStatus.ARCHIVED:
            raise FlowArchived
        for field, value in changes.items():
            setattr(flow, field, value)
        flow.save(update_fields=[*changes, "updated_at"])
    return flow


def activate(flow: Flow, *, by: str = "") -> Flow:
    """Let participants in: a draft publishes its newest version if none is published; a paused flow resumes."""
    with _locked(flow):
        if flow.status == FlowStatus.PAUSED:
            return resume(flow)
        _refuse_unless_reachable(flow, FlowStatus.ACTIVE)
        if flow.active_version_id is None:
            draft = versions.newest(flow, status=VersionStatus.DRAFT)
            if draft is None:
                raise NoVersion
            publishing.publish(draft, by=by)
            flow.active_version = draft
        _move(flow, FlowStatus.ACTIVE)
    return flow


def pause(flow: Flow) -> Flow:
    """Take no entries and execute nothing; events go on resolving waits."""
    with _locked(flow):
        _move(flow, FlowStatus.PAUSED, paused_at=clock.now())
    return flow


def resume(flow: Flow, *, overdue: Overdue = Overdue.RUN, spread_over: timedelta = timedelta(0)) -> Flow:
    """Go on after a pause, with a choice about what became due meanwhile."""
    with _locked(flow):
        paused_at = flow.paused_at
        if flow.status != FlowStatus.PAUSED or paused_at is None:
            raise IllegalTransition(of="flow", current=flow.status, target=FlowStatus.ACTIVE)
        _move(flow, FlowStatus.ACTIVE, paused_at=None)
        resumption = Resumption(flow, Overdue(overdue), spread_over, paused_at=paused_at, resumed_at=clock.now())
        for follow_up in on_resume:
            follow_up(resumption)
    return flow


def archive(flow: Flow) -> Flow:
    """Take no entries ever again; whoever is inside finishes."""
    with _locked(flow):
        paused_at = flow.paused_at
        _move(flow, FlowStatus.ARCHIVED, paused_at=None)
        FlowTrigger.objects.filter(flow=flow).delete()
        if paused_at is not None:
            # Whoever was held by the pause is let go, or nobody could finish.
            for follow_up in on_resume:
                follow_up(Resumption(flow, Overdue.RUN, timedelta(0), paused_at=paused_at, resumed_at=clock.now()))
    return flow


def duplicate(flow: Flow, *, name: str = "") -> Flow:
    """Make a new flow in draft with the newest version's graph."""
    source = versions.newest(flow)
    suffix = " (copy)"
    return create(
        flow.tenant,
        name or flow.name[: NAME_LENGTH - len(suffix)] + suffix,
        description=flow.description,
        graph=source.graph if source else None,
    )


def delete(flow: Flow) -> None:
    """Delete a flow that was never active, with its versions; not one that something is built on."""
    with _locked(flow):
        if flow.status != FlowStatus.DRAFT:
            raise FlowNotDraft
        Flow.objects.filter(pk=flow.pk).update(active_version=None)
        flow.active_version = None
        try:
            flow.delete()
        except ProtectedError as error:
            raise FlowInUse from error


@contextmanager
def _locked(flow: Flow) -> Iterator[None]:
    with transaction.atomic():
        locks.hold(flow)
        yield


def _refuse_unless_reachable(flow: Flow, target: FlowStatus) -> None:
    if flow.status not in Flow.TRANSITIONS.sources(target):
        raise IllegalTransition(of="flow", current=flow.status, target=target)


def _move(flow: Flow, target: FlowStatus, **columns: Any) -> None:
    _refuse_unless_reachable(flow, target)
    for field, value in {"status": target, **columns}.items():
        setattr(flow, field, value)
    flow.save(update_fields=["status", "updated_at", *columns])
    for follow in on_move:
        follow(flow)
