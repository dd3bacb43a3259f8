"""Sagas and what is scheduled, in the admin: the steps of each, what was undone, and an operator's two verbs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from engine.admin.pages import EnginePage
from engine.models import SagaRun, ScheduledWork, StoredEvent
from engine.sagas import controls
from engine.workflow_scheduler import promises
from engine.workflow_state import WorkflowState
from flows.admin.pages import Button, WithButtons, moment, pretty
from flows.admin.walks import Walked

# So many events, the newest, are on the page; the log has them all.
SHOWN = 200
TABLE = "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>"
STEP_TITLES = ("step", "state", "attempts", "result", "error", "began", "ended", "undone", "attempts", "error")


def _cancel(saga: SagaRun, by: str, reason: str) -> str:
    controls.cancel_saga_sync(saga.name, tenant=saga.tenant_id, reason=reason.strip(), actor=by)
    return "Nothing new begins; what was done is undone."


def _resume(saga: SagaRun, by: str) -> str:
    controls.resume_saga_sync(saga.name, tenant=saga.tenant_id, actor=by)
    return "It goes on with what is left."


def _may_be_cancelled(saga: SagaRun) -> bool:
    return saga.status in {WorkflowState.PENDING, WorkflowState.RUNNING} and saga.ending is None


def _is_stuck(saga: SagaRun) -> bool:
    return bool(saga.status == WorkflowState.FAILED)


CANCEL = Button("cancel", "Cancel", _cancel, _may_be_cancelled, asks="reason")
RESUME = Button("resume", "Resume", _resume, _is_stuck)


def _take_back(work: ScheduledWork, by: str) -> str:
    promises.cancel(str(work.tenant_id), work.pk)
    return "It will not begin."


def _is_to_come(work: ScheduledWork) -> bool:
    return bool(work.status == ScheduledWork.Status.SCHEDULED)


TAKE_BACK = Button("cancel", "Cancel", _take_back, _is_to_come)


@admin.register(SagaRun)
class SagaRunAdmin(EnginePage[SagaRun], WithButtons[SagaRun]):
    """Sagas; a search is for the name of one."""

    list_display = ("name", "definition", "status", "runs_in", "created_at", "completed_at", "tenant")
    list_filter = ("status", "tenant")
    walked = Walked("status")
    list_select_related = ("tenant",)
    ids = ("id",)
    searched = ("name",)
    fieldsets = (
        (None, {"fields": ("id", "tenant", "name", "definition", "status", "runs_in", "trouble")}),
        ("Steps", {"fields": ("steps_table",)}),
        ("Timeline", {"fields": ("events_table",)}),
        ("Times", {"fields": ("created_at", "started_at", "completed_at", "deadline_at", "lease_until")}),
        ("Data", {"fields": ("input_text", "plan_text")}),
    )
    readonly_fields = ("trouble", "steps_table", "events_table", "input_text", "plan_text")

    def buttons(self) -> tuple[Button[SagaRun], ...]:
        """Give the verbs of a saga."""
        return CANCEL, RESUME

    @admin.display(description="what went wrong", empty_value="nothing")
    def trouble(self, row: SagaRun) -> SafeString | None:
        """Say why it ended, or is stuck, and what is left to do."""
        error = row.error or (row.ending or {}).get("error")
        return None if error is None else pretty(error)

    @admin.display(description="steps")
    def steps_table(self, row: SagaRun) -> SafeString:
        """Show each step and how far it is undone."""
        return _table(STEP_TITLES, (_cells(each) for each in row.steps))

    @admin.display(description="timeline")
    def events_table(self, row: SagaRun) -> SafeString:
        """Show what happened, oldest first."""
        found = StoredEvent.objects.filter(aggregate_id=row.pk).order_by("-sequence")[:SHOWN]
        lines = ((each.sequence, _at(each.recorded_at), each.type, *_told(each)) for each in reversed(found))
        address = f"{reverse('admin:engine_storedevent_changelist')}?q={row.pk}"
        table = _table(("n", "at", "what", "step", "more", "by"), lines)
        return format_html('{}<p><a href="{}">All events</a></p>', table, address)

    @admin.display(description="input")
    def input_text(self, row: SagaRun) -> SafeString:
        """Show what it was started with."""
        return pretty(row.input)

    @admin.display(description="plan")
    def plan_text(self, row: SagaRun) -> SafeString:
        """Show what was declared."""
        return pretty(row.plan)


def _cells(step: dict[str, Any]) -> tuple[Any, ...]:
    undone = step["compensation"]
    before = (step["name"], step["state"], step["attempts"], _short(step["result"]), _detail(step["error"]))
    times = tuple(_at(step[name]) for name in ("started_at", "completed_at"))
    return (*before, *times, undone["state"], undone["attempts"], _detail(undone["error"]))


def _told(event: StoredEvent) -> tuple[str, str, str]:
    data, actor = event.data, event.metadata.get("actor", "")
    said = _detail(data.get("error")) or data.get("cause", "") or _short(data.get("result"))
    return data.get("step") or "", said, actor


def _at(time: Any) -> SafeString:
    return format_html('<span class="moment">{}</span>', moment(time))


def _detail(error: dict[str, Any] | None) -> str:
    return "" if error is None else f"{error.get('code', '')}: {error.get('detail', '')}"


def _short(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)[:200]


def _table(titles: tuple[str, ...], lines: Iterator[tuple[Any, ...]]) -> SafeString:
    rows = format_html_join(
        "", "<tr>{}</tr>", ((format_html_join("", "<td>{}</td>", ((c,) for c in line)),) for line in lines)
    )
    return format_html(TABLE, format_html_join("", "<th>{}</th>", ((title,) for title in titles)), rows)


@admin.register(ScheduledWork)
class ScheduledWorkAdmin(EnginePage[ScheduledWork], WithButtons[ScheduledWork]):
    """What is to begin at a moment."""

    list_display = ("id", "kind", "due_at", "status", "tenant")
    list_filter = ("status", "tenant")
    list_select_related = ("tenant",)
    ids = ("id",)

    def buttons(self) -> tuple[Button[ScheduledWork], ...]:
        """Give the one verb of what has not begun."""
        return (TAKE_BACK,)
