"""Sagas and what is scheduled, in the admin."""

from django.contrib import admin

from engine.admin.pages import EnginePage
from engine.models import SagaRun, ScheduledWork


@admin.register(SagaRun)
class SagaRunAdmin(EnginePage[SagaRun]):
    """Sagas; a search is for the name of one."""

    list_display = ("name", "definition", "status", "runs_in", "created_at", "tenant")
    list_filter = ("status", "tenant")
    list_select_related = ("tenant",)
    ids = ("id",)
    searched = ("name",)


@admin.register(ScheduledWork)
class ScheduledWorkAdmin(EnginePage[ScheduledWork]):
    """What is to begin at a moment."""

    list_display = ("id", "kind", "due_at", "status", "tenant")
    list_filter = ("status", "tenant")
    list_select_related = ("tenant",)
    ids = ("id",)
