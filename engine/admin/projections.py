"""Read models and caches of the log, in the admin: how far they are, and what to do with one that has stopped."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import DateTimeField, IntegerField, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils.safestring import SafeString

from engine import clock
from engine.admin.pages import EnginePage
from engine.bells import Bell, ring_on_commit
from engine.models import (
    CohortStatistic,
    FlowStatistic,
    NodeStatistic,
    ProjectionCheckpoint,
    ProjectionSkip,
    Snapshot,
)
from engine.models.statistics import Counted
from engine.projections import lag, rebuilding, registry, skips
from flows.admin.pages import Button, WithButtons, pretty

# What of the log is behind a row's place: how much, no further than a cap, and since when the first of it is there.
BEHIND = """
    (SELECT {wanted} FROM (SELECT e.recorded_at FROM stored_events e
      WHERE (e.tx, e.position) > (projection_checkpoints.tx, projection_checkpoints.position)
      ORDER BY e.tx, e.position LIMIT {limit}) AS behind)
"""
COUNT, SINCE = BEHIND.format(wanted="count(*)", limit=lag.CAP), BEHIND.format(wanted="min(recorded_at)", limit=1)
LAG_EVENTS = RawSQL(COUNT, (), output_field=IntegerField())  # noqa: S611 - our own words; the ORM compares no rows
LAG_SINCE = RawSQL(SINCE, (), output_field=DateTimeField())  # noqa: S611 - likewise


def _retry(row: ProjectionCheckpoint, by: str) -> str:
    skips.retry(row.name, row.build)
    ring_on_commit(Bell.PROJECT)
    return "The event is tried again, now."


def _skip(row: ProjectionCheckpoint, by: str, reason: str) -> str:
    skipped = skips.skip(row.name, reason.strip(), by, row.build)
    ring_on_commit(Bell.PROJECT)
    return f"It goes on behind event {skipped.event_id}; the skip is recorded."


def _rebuild(row: ProjectionCheckpoint, by: str) -> str:
    build = rebuilding.request(registry.get(row.name))
    ring_on_commit(Bell.PROJECT)
    if build == row.build:
        return "Its read model was emptied and fills up again from the first event on."
    return f"Build {build} grows beside this one; readers take it when it has caught up."


def _is_stopped(row: ProjectionCheckpoint) -> bool:
    return row.status == ProjectionCheckpoint.Status.FAILED


def _is_live(row: ProjectionCheckpoint) -> bool:
    return row.is_live


RETRY = Button("retry", "Retry", _retry, _is_stopped)
SKIP = Button("skip", "Skip the event", _skip, _is_stopped, asks="reason")
REBUILD = Button("rebuild", "Rebuild", _rebuild, _is_live)


@admin.register(ProjectionCheckpoint)
class ProjectionCheckpointAdmin(EnginePage[ProjectionCheckpoint], WithButtons[ProjectionCheckpoint]):
    """How far each projection has read; a search is for its name."""

    list_display = ("name", "build", "is_live", "status", "count", "lag_events", "lag", "last_event_at")
    list_filter = ("status", "is_live")
    fieldsets = (
        (None, {"fields": ("id", "name", "build", "is_live", "status", "count", "lag_events", "lag")}),
        ("Trouble", {"fields": ("error_text", "attempts", "retry_at")}),
        ("Place", {"fields": ("tx", "position", "last_event_id", "last_event_at", "updated_at")}),
    )
    readonly_fields = ("lag_events", "lag", "error_text")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProjectionCheckpoint]:
        """Read what the list shows in one statement."""
        return super().get_queryset(request).annotate(behind=LAG_EVENTS, behind_since=LAG_SINCE)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ProjectionCheckpoint], search_term: str
    ) -> tuple[QuerySet[ProjectionCheckpoint], bool]:
        """Look for a name; projections belong to no tenant."""
        wanted = search_term.strip().replace("\0", "")
        return (queryset.filter(name__contains=wanted) if wanted else queryset), False

    def buttons(self) -> tuple[Button[ProjectionCheckpoint], ...]:
        """Give the verbs of a projection."""
        return RETRY, SKIP, REBUILD

    @admin.display(description="events behind")
    def lag_events(self, row: ProjectionCheckpoint) -> str:
        """Say how many places of the log it has not read."""
        behind: int = getattr(row, "behind", 0)
        return f"{behind}" if behind < lag.CAP else f"{lag.CAP} or more"

    @admin.display(description="behind for")
    def lag(self, row: ProjectionCheckpoint) -> str:
        """Say for how long, in engine time."""
        since = getattr(row, "behind_since", None)
        return f"{max(0.0, (clock.now() - since).total_seconds()):.1f} s" if since else "0 s"

    @admin.display(description="error", empty_value="none")
    def error_text(self, row: ProjectionCheckpoint) -> SafeString | None:
        """Show at which event it stopped, and why."""
        return pretty(row.error) if row.error else None


@admin.register(ProjectionSkip)
class ProjectionSkipAdmin(EnginePage[ProjectionSkip]):
    """What projections passed over, and who said so; a search is for the id of an event."""

    list_display = ("name", "event_id", "actor", "reason", "at")
    ids = ("id", "event_id")
    fields = ("id", "name", "build", "event_id", "tx", "position", "actor", "reason", "at", "error_text")
    readonly_fields = ("error_text",)

    @admin.display(description="error", empty_value="none")
    def error_text(self, row: ProjectionSkip) -> SafeString | None:
        """Show why it could not be projected."""
        return pretty(row.error) if row.error else None


class CountedAdmin(EnginePage[Counted]):
    """Statistics; a search is for the id of a flow."""

    list_display: Any = ("day", "flow_id", "version", "node_id", "kind", "key", "n", "build")
    ids = ("flow_id",)


@admin.register(FlowStatistic)
class FlowStatisticAdmin(CountedAdmin):
    """What happened to the runs of flows, per day and version."""


@admin.register(NodeStatistic)
class NodeStatisticAdmin(CountedAdmin):
    """What happened at nodes, per day and version."""


@admin.register(CohortStatistic)
class CohortStatisticAdmin(CountedAdmin):
    """How far runs came, by the day and version of their entry."""

    list_display = (*CountedAdmin.list_display, "goal")


@admin.register(Snapshot)
class SnapshotAdmin(EnginePage[Snapshot]):
    """The newest snapshot of each aggregate."""

    list_display = ("aggregate_type", "aggregate_id", "sequence", "taken_at")
    ids = ("aggregate_id",)
    ordering = ("-aggregate_id",)
