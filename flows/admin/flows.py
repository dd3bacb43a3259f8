"""Flows in the admin: name and description are edited, everything else is a verb."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from flows import lifecycle, queries
from flows.admin.pages import Button, ReadOnlyPage, WithButtons
from flows.admin.walks import Walked
from flows.models import Flow, FlowEntry, FlowTrigger
from flows.models.flow import FlowStatus


def _activate(flow: Flow, by: str) -> str:
    return f"{lifecycle.activate(flow, by=by)} is active."


def _pause(flow: Flow, by: str) -> str:
    return f"{lifecycle.pause(flow)} is paused."


def _resume(flow: Flow, by: str) -> str:
    return f"{lifecycle.resume(flow)} goes on; what became due meanwhile runs now."


def _archive(flow: Flow, by: str) -> str:
    return f"{lifecycle.archive(flow)} takes no more entries; whoever is inside finishes."


def _in(*states: str) -> Any:
    return lambda flow: flow.status in states


Section = tuple[str, Callable[[Flow], SafeString]]

_sections: list[Section] = []


def add_section(title: str, show: Callable[[Flow], SafeString]) -> None:
    """Put what `show` gives on the page of a flow."""
    _sections.append((title, show))


ACTIVATE = Button("activate", "Activate", _activate, _in(FlowStatus.DRAFT))
PAUSE = Button("pause", "Pause", _pause, _in(FlowStatus.ACTIVE))
RESUME = Button("resume", "Resume", _resume, _in(FlowStatus.PAUSED))
FOR_GOOD = "Nobody will enter any more, and this cannot be taken back. Archive it?"
ARCHIVE = Button("archive", "Archive", _archive, _in(FlowStatus.ACTIVE, FlowStatus.PAUSED), sure=FOR_GOOD)


@admin.register(Flow)
class FlowAdmin(WithButtons[Flow]):
    """Flows: what runs, and switching it on and off; a search is for an id or an exact name."""

    list_display = ("name", "tenant", "status", "active_number", "latest_number", "updated_at")
    list_filter = ("status", "tenant")
    walked = Walked("status")
    searched = ("name",)
    autocomplete_fields = ("tenant",)
    fields = (
        "tenant",
        "name",
        "description",
        "status",
        "active_number",
        "latest_number",
        "elsewhere",
        "paused_at",
        "id",
        "more",
    )
    readonly_fields = ("status", "active_number", "latest_number", "elsewhere", "paused_at", "id", "more")
    actions = ("activate", "pause", "archive")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Flow]:
        """Read what the list shows in one statement, without graphs."""
        return queries.with_latest_number(super().get_queryset(request)).select_related("active_version", "tenant")

    @admin.display(description="active version", empty_value="none")
    def active_number(self, flow: Flow) -> int | None:
        """Give the number of the version that runs."""
        return flow.active_version.number if flow.active_version else None

    @admin.display(description="newest version", empty_value="none")
    def latest_number(self, flow: Flow) -> int | None:
        """Give the number of the newest version."""
        return getattr(flow, "latest_number", None)

    @admin.display(description="see")
    def elsewhere(self, flow: Flow) -> SafeString:
        """Link to what belongs to the flow."""
        if flow._state.adding:  # noqa: SLF001 - Django's own way to tell
            return format_html("{}", "Once it is saved, its graph is written as a version of it.")
        return format_html(
            '<a href="{}?flow__id__exact={}">versions</a> · <a href="{}?flow={}">write a new version</a> · '
            '<a href="{}?flow__id__exact={}">instances</a>',
            reverse("admin:flows_flowversion_changelist"),
            flow.pk,
            reverse("admin:flows_flowversion_add"),
            flow.pk,
            reverse("admin:flows_flowinstance_changelist"),
            flow.pk,
        )

    @admin.display(description="more", empty_value="none")
    def more(self, flow: Flow) -> SafeString | None:
        """Show what was added, once the flow is there."""
        if flow._state.adding:  # noqa: SLF001 - Django's own way to tell
            return None
        return format_html_join("", "<h3>{}</h3>{}", ((title, show(flow)) for title, show in _sections))

    def get_readonly_fields(self, request: HttpRequest, obj: Flow | None = None) -> Any:
        """Keep a flow with its tenant."""
        return (*self.readonly_fields, "tenant") if obj else self.readonly_fields

    def has_change_permission(self, request: HttpRequest, obj: Flow | None = None) -> bool:
        """Leave an archived flow as it is."""
        return super().has_change_permission(request, obj) and (obj is None or obj.status != FlowStatus.ARCHIVED)

    def has_delete_permission(self, request: HttpRequest, obj: Flow | None = None) -> bool:
        """Delete drafts only, one by one."""
        return obj is not None and obj.status == FlowStatus.DRAFT and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Flow, form: Any, change: Any) -> None:
        """Write name and description only, so that an old page undoes nothing."""
        if change:
            lifecycle.edit(obj, name=form.cleaned_data["name"], description=form.cleaned_data["description"])
        else:
            super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: Flow) -> None:
        """Delete by the verb."""
        lifecycle.delete(obj)

    def buttons(self) -> tuple[Button[Flow], ...]:
        """Give the verbs of a flow."""
        return ACTIVATE, PAUSE, RESUME, ARCHIVE

    @admin.action(description="Activate the selected flows", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Flow]) -> None:
        """Activate each; one that refuses does not stop the others."""
        for flow in queryset:
            self.act(request, flow, ACTIVATE)

    @admin.action(description="Pause the selected flows", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Flow]) -> None:
        """Pause each; one that refuses does not stop the others."""
        for flow in queryset:
            self.act(request, flow, PAUSE)

    @admin.action(description="Archive the selected flows", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Flow]) -> None:
        """Archive each; one that refuses does not stop the others."""
        for flow in queryset:
            self.act(request, flow, ARCHIVE)


@admin.register(FlowTrigger)
class FlowTriggerAdmin(ReadOnlyPage[FlowTrigger]):
    """What starts flows by itself."""

    list_display = ("kind", "key", "flow", "node_id", "tenant")
    list_filter = ("kind", "tenant")
    list_select_related = ("flow", "tenant")
    ids = ("id", "flow_id")
    searched = ("key",)


@admin.register(FlowEntry)
class FlowEntryAdmin(ReadOnlyPage[FlowEntry]):
    """How often participants entered flows that limit it."""

    list_display = ("participant_id", "flow", "count", "last_entered_at", "tenant")
    list_filter = ("tenant",)
    list_select_related = ("flow", "tenant")
    ids = ("id", "flow_id")
    searched = ("participant_id",)
