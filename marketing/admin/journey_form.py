"""The form of a journey: its parts side by side, with the same checks as over REST told beside each."""

from __future__ import annotations

from copy import copy
from typing import Any, Final

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db import DataError, transaction
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from engine.models import FlowSchedule
from flows.admin.pages import Indented
from marketing import journeys
from marketing.admin.segments import TextDecoder
from marketing.journeys import goals
from marketing.models import Journey, Segment
from tenants.admin_pages import Form
from tenants.errors import Invalid, KalciferError

PLANNED: Final = ("kind", "cron", "every", "at", "timezone")
OFFERED: Final = 200
OF_LAUNCH: Final = ("launch_at", "include_existing")


class Slugs(forms.TextInput):
    """A text, with the slugs of segments to choose from."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Add the list; in a large system it has the newest ones."""
        slugs = Segment.objects.order_by("-id").values_list("slug", flat=True)[:OFFERED]
        offered = format_html_join("", '<option value="{}">', ((slug,) for slug in dict.fromkeys(slugs)))
        field = super().render(name, value, {**(attrs or {}), "list": f"{name}_slugs"}, renderer)
        return format_html('{}<datalist id="{}_slugs">{}</datalist>', field, name, offered)


class Goal(forms.JSONField):
    """JSON, or nothing, which is shown as nothing."""

    def prepare_value(self, value: Any) -> Any:
        """Leave the field empty where there is no goal."""
        return "" if value is None else super().prepare_value(value)


class JourneyForm(Form[Journey]):
    """For whom, towards what, when."""

    segment = forms.CharField(
        required=False,
        max_length=255,
        label="Audience",
        widget=Slugs(attrs={"size": 40}),
        help_text="The slug or id of the segment that it is for.",
    )
    goal = Goal(
        required=False,
        encoder=Indented,
        decoder=TextDecoder,
        widget=forms.Textarea(attrs={"rows": 6, "cols": 90}),
        help_text='Such as {"name": "bought", "event_type": "order_completed", "window": "7d"}. It is the goal of the '
        "graph; another one for a journey that is launched is published as a new version.",
    )
    launch_at = forms.SplitDateTimeField(
        required=False, widget=AdminSplitDateTime, help_text="A draft launches by itself then (UTC)."
    )
    include_existing = forms.BooleanField(
        required=False, help_text="Whether the audience of that moment enters when it launches by itself."
    )
    kind = forms.ChoiceField(
        required=False,
        label="Let the audience in",
        choices=(("", "not by the clock"), *FlowSchedule.Kind.choices),
    )
    cron = forms.CharField(required=False, max_length=128, help_text="Such as 0 9 * * MON.")
    every = forms.CharField(required=False, max_length=16, help_text="For an interval: 30s 15m 12h 3d 2w.")
    at = forms.SplitDateTimeField(required=False, widget=AdminSplitDateTime, help_text="For once (UTC).")
    timezone = forms.CharField(required=False, max_length=64, help_text="Of the cron expression; else the tenant's.")

    class Meta:
        model = Journey
        fields = ("tenant", "flow", "name", "description", "tags")
        widgets = {
            "name": forms.TextInput(attrs={"class": "vLargeTextField", "size": 60}),
            "description": forms.Textarea(attrs={"rows": 3, "cols": 90}),
            "tags": forms.TextInput(attrs={"size": 60}),
        }
        help_texts = {"tags": "Separated by commas."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        journey = self.instance
        if journey._state.adding:  # noqa: SLF001  # Django's way to tell
            return
        plan = journey.schedule
        kept: dict[str, Any] = {name: getattr(plan, name) for name in PLANNED} if plan else {}
        given = {
            "segment": (journey.audience or {}).get("segment", ""),
            "goal": goals.shown(journey),
            **{name: getattr(journey, name) for name in OF_LAUNCH},
        }
        self.initial = {**self.initial, **kept, **given}

    def clean(self) -> dict[str, Any] | None:
        """Keep flow and journey of one tenant."""
        found = super().clean() or self.cleaned_data
        flow, tenant = found.get("flow"), found.get("tenant")
        if flow is not None and tenant is not None and flow.tenant_id != tenant.pk:
            self.add_error("flow", "This flow is another tenant's.")
        return found

    def given(self) -> dict[str, Any]:
        """Give what was changed, as the verbs take it; what nobody touched is left as it is stored."""
        found, changed = self.cleaned_data, set(self.changed_data)
        given: dict[str, Any] = {
            name: found[name] for name in ("name", "description", "tags", "goal") if name in changed
        }
        if "segment" in changed:
            given["audience"] = {"segment": found["segment"]} if found["segment"] else None
        if changed & {*PLANNED, *OF_LAUNCH}:
            given["schedule"] = self._schedule()
        return given

    def store(self, *, by: str) -> Journey:
        """Make or change the journey by the verbs."""
        if self.instance._state.adding:  # noqa: SLF001  # as above
            given = {"name": self.cleaned_data["name"], **self.given()}
            return journeys.create(self.cleaned_data["tenant"], flow=self.cleaned_data["flow"], **given)
        return journeys.change(copy(self.instance), by=by, **self.given())

    def _schedule(self) -> dict[str, Any] | None:
        found = self.cleaned_data
        parts = {name: found[name] for name in (PLANNED if found["kind"] else ()) if found[name]}
        if found["launch_at"]:
            parts |= {name: found[name] for name in OF_LAUNCH}
        plan = self.instance.schedule
        return {**parts, "context": plan.context if plan else {}} if parts else None

    # Stored for real and undone: whatever storing would refuse is told beside its field.
    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's hook for what needs the instance
        if self.errors:
            return
        try:
            with transaction.atomic():
                self.store(by="")
                transaction.set_rollback(True)
        except Invalid as refusal:
            for problem in refusal.problems:
                self.add_error(self._field_of(problem.attr or ""), problem.detail)
        except KalciferError as refusal:
            self.add_error(None, refusal.detail)
        except DataError as refusal:
            self.add_error(None, f"This cannot be stored: {refusal}")

    # `schedule.cron` is the field `cron`, `goal.window` the field `goal`.
    def _field_of(self, attr: str) -> str | None:
        first, _, rest = attr.partition(".")
        name = {"audience": "segment", "flow_id": "flow", "schedule": rest}.get(first, first)
        return name if name in self.fields else None
