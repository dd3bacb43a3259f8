"""Read models and caches of the log, in the admin."""

from django.contrib import admin

from engine.admin.pages import EnginePage
from engine.models import ProjectionCheckpoint, ProjectionSkip, Snapshot


@admin.register(ProjectionCheckpoint)
class ProjectionCheckpointAdmin(EnginePage[ProjectionCheckpoint]):
    """How far each projection has read."""

    list_display = ("name", "build", "is_live", "status", "count", "last_event_at")
    list_filter = ("status",)


@admin.register(ProjectionSkip)
class ProjectionSkipAdmin(EnginePage[ProjectionSkip]):
    """What projections passed over, and who said so."""

    list_display = ("name", "event_id", "actor", "reason", "at")


@admin.register(Snapshot)
class SnapshotAdmin(EnginePage[Snapshot]):
    """The newest snapshot of each aggregate."""

    list_display = ("aggregate_type", "aggregate_id", "sequence", "taken_at")
    ids = ("aggregate_id",)
    ordering = ("-aggregate_id",)
