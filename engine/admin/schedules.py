"""Schedules in the admin: the same checks as over REST, and the next moment planned anew at every change."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import DataError, transaction
from django.http import HttpRequest

from engine import schedules
from engine.models import FlowSchedule
from flows.admin.pages import FastPage, moment, wide
from tenants.admin_pages import Form
from tenants.errors import Invalid

SHOWN = 160
PLANNED = ("kind", "cron", "every", "at", "timezone", "participants", "audience", "context", "enabled")


class FlowScheduleForm(Form[FlowSchedule]):
    """When, for whom, and with what."""

    class Meta:
        model = FlowSchedule
        fields = ("flow", *PLANNED)
        widgets: ClassVar = {"participants": wide(3), "context": wide(3)}
        help_texts: ClassVar = {
            "cron": "Minute, hour, day, month and weekday, such as 0 9 * * MON-FRI.",
            "at": "The moment, for once; for an interval, where it counts from, if not from now (UTC).",
            "timezone": "Of the cron expression, such as Europe/Berlin.",
            "participants": 'A list of ids, such as ["ada", "bob"]; or else an audience.',
            "audience": "The name of an audience, or a segment by its slug or id.",
            "context": "What each run is given, as a JSON object.",
        }

    def clean_participants(self) -> list[str]:
        """A list of ids, or nothing."""
        given = self.cleaned_data["participants"] or []
        if not isinstance(given, list) or not all(isinstance(each, str) and each for each in given):
            raise forms.ValidationError('A list of ids, such as ["ada", "bob"].')
        return given

    def clean_context(self) -> dict[str, Any]:
        """An object, or nothing."""
        given = self.cleaned_data["context"] or {}
        if not isinstance(given, dict):
            raise forms.ValidationError("A JSON object.")
        return given

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's hook for what needs the instance
        if self.errors:
            return
        self.instance.tenant_id = self.instance.flow.tenant_id
        try:
            self._try()
        except Invalid as refusal:
            for problem in refusal.problems:
                self.add_error(problem.attr if problem.attr in self.fields else None, problem.detail)
        except DataError as refusal:
            self.add_error(None, f"This cannot be stored: {refusal}")

    # Saved for real and undone: whatever saving would refuse is told beside its field.
    def _try(self) -> None:
        trial = deepcopy(self.instance)
        with transaction.atomic():
            schedules.save(trial)
            transaction.set_rollback(True)


@admin.register(FlowSchedule)
class FlowScheduleAdmin(FastPage[FlowSchedule]):
    """What starts flows by the clock; a search is for the id of a flow."""

    form = FlowScheduleForm
    list_display = ("flow", "kind", "when", "timezone", "enabled", "next_at", "last_at", "outcome", "tenant")
    list_filter = ("enabled", "kind", "tenant")
    list_select_related = ("flow", "tenant")
    ids = ("id", "flow_id")
    autocomplete_fields = ("flow",)
    fields = ("flow", *PLANNED, "next_at", "last_at", "last_result")
    readonly_fields = ("next_at", "last_at", "last_result")

    @admin.display(description="when")
    def when(self, schedule: FlowSchedule) -> str:
        """Say when in the form it was written."""
        return schedule.cron or schedule.every or moment(schedule.at)

    @admin.display(description="last time")
    def outcome(self, schedule: FlowSchedule) -> str:
        """Say what the last start led to, or why it led to nothing."""
        result = schedule.last_result or {}
        if error := result.get("error"):
            return str(error["detail"])[:SHOWN]
        return ", ".join(f"{result[name]} {name}" for name in ("started", "refused", "matched") if result.get(name))

    def get_fields(self, request: HttpRequest, obj: FlowSchedule | None = None) -> Any:
        """Ask for what makes a new one; of an old one tell what became of it."""
        return self.fields if obj else ("flow", *PLANNED)

    def get_readonly_fields(self, request: HttpRequest, obj: FlowSchedule | None = None) -> Any:
        """A schedule stays with its flow."""
        return (*self.readonly_fields, "flow") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: FlowSchedule, form: Any, change: Any) -> None:
        """Save by the verbs, which plan the next moment."""
        if change:
            written = schedules.change(obj, **{name: form.cleaned_data[name] for name in PLANNED})
            obj.__dict__.update(written.__dict__)
        else:
            schedules.save(obj)
