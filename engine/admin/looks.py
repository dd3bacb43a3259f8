"""Timers, waits, the inbox, the log, claims, jobs and the clock: to look at."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from engine import clock
from engine.admin.pages import EnginePage, run_link
from engine.models import (
    BatchClaim,
    ClockAnchor,
    EventSubscription,
    InboundEvent,
    Job,
    JobTarget,
    StoredEvent,
    Timer,
)
from flows.admin.pages import pretty


@admin.register(Timer)
class TimerAdmin(EnginePage[Timer]):
    """When waits end by themselves; a search is for the id of an instance."""

    list_display = ("node_id", "due_at", "held", "run", "tenant")
    list_filter = ("held", "tenant")
    list_select_related = ("tenant",)
    ids = ("id", "instance_id")
    fields = ("id", "tenant", "run", "node_id", "due_at", "held")
    readonly_fields = ("run",)


@admin.register(EventSubscription)
class EventSubscriptionAdmin(EnginePage[EventSubscription]):
    """Who listens for which event; a search is for a participant, or the id of an instance."""

    list_display = ("event_type", "participant_id", "kind", "node_id", "since", "until", "run", "tenant")
    list_filter = ("kind", "tenant")
    list_select_related = ("tenant",)
    ids = ("id", "instance_id")
    searched = ("participant_id",)
    fields = (
        "id", "tenant", "run", "node_id", "kind", "event_type", "participant_id", "filter_text", "since", "until",
    )  # fmt: skip
    readonly_fields = ("run", "filter_text")

    @admin.display(description="filter", empty_value="none")
    def filter_text(self, row: EventSubscription) -> SafeString | None:
        """Show the filter as a person reads it."""
        return pretty(row.filter) if row.filter else None


@admin.register(InboundEvent)
class InboundEventAdmin(EnginePage[InboundEvent]):
    """What the world said, and what it did; a search is for a participant or the sender's id of the event."""

    list_display = ("event_type", "participant_id", "occurred_at", "received_at", "routed_at", "source", "tenant")
    list_filter = (("routed_at", admin.EmptyFieldListFilter), "tenant")
    list_select_related = ("tenant",)
    searched = ("participant_id", "event_id")
    fields = (
        "id", "tenant", "event_id", "event_type", "participant_id", "data_text", "occurred_at", "occurred_as_sent",
        "received_at", "source", "flow_id", "entry_node", "causation_depth", "correlation_id", "routed_at", "did",
    )  # fmt: skip
    readonly_fields = ("data_text", "did")

    @admin.display(description="data")
    def data_text(self, row: InboundEvent) -> SafeString:
        """Show the data as a person reads it."""
        return pretty(row.data)

    @admin.display(description="effects")
    def did(self, row: InboundEvent) -> SafeString | str:
        """Say what the event did, with links to the instances."""
        told = (
            (each.get("kind", ""), each.get("code") or each.get("node_id") or "", run_link(each.get("instance_id")))
            for each in row.effects
        )
        return format_html_join("", "<div>{} {} {}</div>", told) or "none"


@admin.register(StoredEvent)
class StoredEventAdmin(EnginePage[StoredEvent]):
    """The log; a search is for the id of an instance."""

    list_display = ("position", "type", "sequence", "aggregate_type", "aggregate_id", "recorded_at")
    ordering = ("-position",)
    ids = ("aggregate_id",)
    fields = (
        "position", "event_id", "tenant_id", "aggregate_type", "aggregate", "sequence", "type", "schema_version",
        "data_text", "metadata_text", "recorded_at", "tx",
    )  # fmt: skip
    readonly_fields = ("aggregate", "data_text", "metadata_text", "event_id")

    @admin.display(description="of")
    def aggregate(self, row: StoredEvent) -> SafeString | str:
        """Link to whatever it happened to."""
        return run_link(row.aggregate_id) if row.aggregate_type == "instance" else str(row.aggregate_id)

    @admin.display(description="data")
    def data_text(self, row: StoredEvent) -> SafeString:
        """Show the data as a person reads it."""
        return pretty(row.data)

    @admin.display(description="metadata")
    def metadata_text(self, row: StoredEvent) -> SafeString:
        """Show who and what caused it."""
        return pretty(row.metadata)


@admin.register(BatchClaim)
class BatchClaimAdmin(EnginePage[BatchClaim]):
    """Which worker has which instances in hand right now."""

    list_display = ("worker", "size", "started_at", "task_id")
    fields = ("id", "worker", "worker_key", "task_id", "started_at", "runs")
    readonly_fields = ("runs",)

    @admin.display(description="instances")
    def size(self, row: BatchClaim) -> int:
        """Count the instances."""
        return len(row.instance_ids)

    @admin.display(description="instances")
    def runs(self, row: BatchClaim) -> SafeString:
        """Link to the instances."""
        return format_html_join("", "<div>{}</div>", ((run_link(each),) for each in row.instance_ids))


@admin.register(Job)
class JobAdmin(EnginePage[Job]):
    """Acts on many things, and how far they are."""

    list_display = ("kind", "action", "status", "matched", "done", "refused", "actor", "created_at", "tenant")
    list_filter = ("status", "tenant")
    list_select_related = ("tenant",)
    fields = (
        "id", "tenant", "kind", "action", "status", "actor", "matched", "done", "succeeded", "refused", "created_at",
        "completed_at", "params_text", "errors_text",
    )  # fmt: skip
    readonly_fields = ("params_text", "errors_text", "created_at")

    @admin.display(description="with")
    def params_text(self, row: Job) -> SafeString:
        """Show what it was asked with."""
        return pretty(row.params)

    @admin.display(description="refusals")
    def errors_text(self, row: Job) -> SafeString:
        """Show why things were refused."""
        return pretty(row.errors)


@admin.register(JobTarget)
class JobTargetAdmin(EnginePage[JobTarget]):
    """What jobs have still to deal with; a search is for the id of a job."""

    list_display = ("target_id", "job_id")
    ids = ("job_id",)


@admin.register(ClockAnchor)
class ClockAnchorAdmin(EnginePage[ClockAnchor]):
    """Engine time: where it stands, and how fast it goes."""

    list_display = ("engine_time", "speed", "real_at", "engine_at")
    fields = ("engine_time", "speed", "real_at", "engine_at", "seen_engine_at")
    readonly_fields = ("engine_time",)
    ids = ()

    @admin.display(description="engine time")
    def engine_time(self, row: ClockAnchor) -> datetime:
        """Tell what time it is for the engine."""
        return clock.now()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ClockAnchor], search_term: str
    ) -> tuple[QuerySet[ClockAnchor], Any]:
        """There is one row, whatever is searched."""
        return queryset, False
