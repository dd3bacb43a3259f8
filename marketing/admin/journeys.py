"""Journeys in the admin: what marketers launch, hold and end, and how it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from flows.admin.flows import FOR_GOOD, add_section
from flows.admin.pages import Button, ReadOnlyPage, WithButtons, actor, moment, pretty
from flows.admin.walks import Walked
from flows.models import Flow
from marketing import journeys
from marketing.admin.journey_form import OF_LAUNCH, PLANNED, JourneyForm
from marketing.journeys import audiences, figures, goals
from marketing.models import Intake, Journey, JourneyStatus
from tenants.errors import Invalid

NOTHING = "none"


def _launch(journey: Journey, by: str) -> str:
    journeys.launch(journey, by=by)
    return f"{journey} is launched."


def _launch_with_all(journey: Journey, by: str) -> str:
    launch = journeys.launch(journey, include_existing=True, by=by)
    return f"{journey} is launched; a job lets {launch.job.matched if launch.job else 0} members of the audience in."


def _pause(journey: Journey, by: str) -> str:
    return f"{journeys.pause(journey)} is paused, with its flow."


def _resume(journey: Journey, by: str) -> str:
    return f"{journeys.resume(journey)} goes on; what became due meanwhile runs now."


def _archive(journey: Journey, by: str) -> str:
    return f"{journeys.archive(journey)} takes no more entries; whoever is inside finishes."


# Django's own way to tell.
def _is_new(journey: Journey) -> bool:
    return bool(journey._state.adding)  # noqa: SLF001  # as above


def _in(*states: str) -> Callable[[Journey], bool]:
    return lambda journey: journey.status in states


BUTTONS = (
    Button("launch", "Launch", _launch, _in(JourneyStatus.DRAFT)),
    Button("launch-with-all", "Launch, and let the audience in", _launch_with_all, _in(JourneyStatus.DRAFT)),
    Button("pause", "Pause", _pause, _in(JourneyStatus.ACTIVE)),
    Button("resume", "Resume", _resume, _in(JourneyStatus.PAUSED)),
    Button("archive", "Archive", _archive, _in(JourneyStatus.ACTIVE, JourneyStatus.PAUSED), sure=FOR_GOOD),
)


@admin.register(Journey)
class JourneyAdmin(WithButtons[Journey]):
    """Journeys; a search is for the id of a journey or flow, or for an exact name."""

    form = JourneyForm
    list_display = (
        "name", "status", "entered", "inside", "completed", "converted", "launched_at", "flow", "tags", "tenant",
    )  # fmt: skip
    list_filter = ("status", "tenant")
    walked = Walked("status")
    ids = ("id", "flow_id")
    searched = ("name",)
    autocomplete_fields = ("tenant", "flow")
    fieldsets = (
        (None, {"fields": ("tenant", "flow", "name", "description", "tags", "status", "launched_at", "id")}),
        ("How it goes", {"fields": ("figures", "elsewhere", "on_their_way")}),
        ("For whom, and towards what", {"fields": ("segment", "audience_size", "goal")}),
        ("When the audience is let in", {"fields": (*PLANNED, "plan")}),
        ("When it launches by itself", {"fields": (*OF_LAUNCH, "refused")}),
    )
    asked = (
        (None, {"fields": ("tenant", "flow", "name", "description", "tags")}),
        ("For whom, and towards what", {"fields": ("segment", "goal")}),
        ("When the audience is let in", {"classes": ("collapse",), "fields": PLANNED}),
        ("When it launches by itself", {"classes": ("collapse",), "fields": OF_LAUNCH}),
    )
    # The form's own fields are no columns: who may only look is shown what they would say.
    looked_at = (
        *fieldsets[:2],
        ("For whom, and towards what", {"fields": ("for_whom", "audience_size", "towards")}),
        ("When the audience is let in", {"fields": ("rhythm", "plan")}),
        ("When it launches by itself", {"fields": (*OF_LAUNCH, "refused")}),
    )
    readonly_fields = (
        "status", "launched_at", "id", "figures", "elsewhere", "on_their_way", "audience_size", "refused", "plan",
        "for_whom", "towards", "rhythm",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Journey]:
        """Read what is shown in one statement."""
        rows = super().get_queryset(request).select_related("flow", "tenant", "schedule")
        return goals.with_goals(figures.with_figures(rows))

    def buttons(self) -> tuple[Button[Journey], ...]:
        """Give the verbs of a journey."""
        return BUTTONS

    def get_fieldsets(self, request: HttpRequest, obj: Journey | None = None) -> Any:
        """Ask for the launch as long as there is one to come; of a new one there is nothing to tell."""
        if obj is None:
            return self.asked
        shown = self.fieldsets if self.has_change_permission(request, obj) else self.looked_at
        return shown if obj is None or obj.status == JourneyStatus.DRAFT else shown[:-1]

    def get_readonly_fields(self, request: HttpRequest, obj: Journey | None = None) -> Any:
        """Keep a journey with its flow."""
        return (*self.readonly_fields, "tenant", "flow") if obj else self.readonly_fields

    def has_change_permission(self, request: HttpRequest, obj: Journey | None = None) -> bool:
        """Leave an archived journey as it is."""
        return super().has_change_permission(request, obj) and (obj is None or obj.status != JourneyStatus.ARCHIVED)

    def has_delete_permission(self, request: HttpRequest, obj: Journey | None = None) -> bool:
        """Delete drafts only, one by one."""
        return obj is not None and obj.status == JourneyStatus.DRAFT and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Journey, form: Any, change: Any) -> None:
        """Store by the verbs, and of a change what was changed only, so that an old page undoes nothing."""
        obj.__dict__.update(form.store(by=actor(request)).__dict__)

    def delete_model(self, request: HttpRequest, obj: Journey) -> None:
        """Delete by the verb."""
        journeys.delete(obj)

    @admin.display(description="entered")
    def entered(self, journey: Journey) -> int:
        """Count who has entered."""
        return int(vars(journey).get("entered", 0))

    @admin.display(description="active")
    def inside(self, journey: Journey) -> int:
        """Count who is inside."""
        return int(vars(journey).get("inside", 0))

    @admin.display(description="completed")
    def completed(self, journey: Journey) -> int:
        """Count who came to an end."""
        return int(vars(journey).get("completed", 0))

    @admin.display(description="converted")
    def converted(self, journey: Journey) -> int:
        """Count who reached a goal."""
        return int(vars(journey).get("converted", 0))

    @admin.display(description="so far")
    def figures(self, journey: Journey) -> str:
        """Say how many came, are inside, came to an end and reached a goal."""
        return (
            f"{self.entered(journey)} entered, {self.inside(journey)} active, {self.completed(journey)} completed, "
            f"{self.converted(journey)} converted"
        )

    @admin.display(description="see")
    def elsewhere(self, journey: Journey) -> SafeString | str:
        """Lead to the flow with its statistics, its graphs and its runs."""
        if _is_new(journey):
            return NOTHING
        return format_html(
            '<a href="{}">flow and statistics</a> · <a href="{}?flow__id__exact={}">graph</a> · '
            '<a href="{}?flow__id__exact={}">instances</a>',
            reverse("admin:flows_flow_change", args=(journey.flow_id,)),
            reverse("admin:flows_flowversion_changelist"),
            journey.flow_id,
            reverse("admin:flows_flowinstance_changelist"),
            journey.flow_id,
        )

    @admin.display(description="on their way in")
    def on_their_way(self, journey: Journey) -> SafeString | str:
        """Lead to the jobs that let members in."""
        jobs = [] if _is_new(journey) else [each.job for each in journey.intakes.select_related("job")]
        lines = ((reverse("admin:engine_job_change", args=(job.pk,)), job.done, job.matched) for job in jobs)
        return format_html_join(", ", '<a href="{}">{} of {}</a>', lines) or "nobody"

    @admin.display(description="its members now")
    def audience_size(self, journey: Journey) -> SafeString | str:
        """Count the audience, and lead to it."""
        try:
            segment = None if _is_new(journey) else audiences.segment_of(journey, journey.flow)
        except Invalid as refusal:
            return refusal.detail
        if segment is None:
            return NOTHING
        address = f"{reverse('admin:marketing_segmentmember_changelist')}?segment__id__exact={segment.pk}"
        return format_html('<a href="{}">{} in {}</a>', address, segment.member_count, segment.name)

    @admin.display(description="audience")
    def for_whom(self, journey: Journey) -> str:
        """Name the segment."""
        return str((journey.audience or {}).get("segment", NOTHING))

    @admin.display(description="goal")
    def towards(self, journey: Journey) -> SafeString | str:
        """Show the goal of the graph, or the one that the launch will write into it."""
        goal = goals.shown(journey)
        return pretty(goal) if goal else NOTHING

    @admin.display(description="let the audience in")
    def rhythm(self, journey: Journey) -> str:
        """Say by which clock."""
        plan = journey.schedule
        said = [f"{name}: {getattr(plan, name)}" for name in PLANNED if getattr(plan, name)] if plan else []
        return ", ".join(said) or "not by the clock"

    @admin.display(description="refused the last time")
    def refused(self, journey: Journey) -> str:
        """Say why a launch that was due was refused."""
        error = journey.launch_error
        return f"{moment(error['at'])}: {error['detail']} ({error['code']})" if error else NOTHING

    @admin.display(description="schedule")
    def plan(self, journey: Journey) -> SafeString | str:
        """Say when it lets the audience in next, and lead to the schedule with what it did the last time."""
        schedule = journey.schedule
        if schedule is None:
            return NOTHING
        address = reverse("admin:engine_flowschedule_change", args=(schedule.pk,))
        when = f"next at {moment(schedule.next_at)} UTC" if schedule.next_at else "rests"
        return format_html('<a href="{}">{}</a>', address, when)


@admin.register(Intake)
class IntakeAdmin(ReadOnlyPage[Intake]):
    """Audiences on their way into a flow; a search is for the id of a flow or journey."""

    list_display = ("job", "flow", "journey", "segment", "at", "tenant")
    list_filter = ("tenant",)
    list_select_related = ("job", "flow", "journey", "segment", "tenant")
    ordering = ("-job_id",)
    ids = ("job_id", "flow_id", "journey_id")
    fields = ("job", "flow", "journey", "segment", "entry_node", "at", "after", "per_minute", "tenant")


def show_journeys(flow: Flow) -> SafeString:
    """List the journeys over a flow."""
    found = Journey.objects.filter(flow=flow).order_by("-pk")
    lines = ((reverse("admin:marketing_journey_change", args=(each.pk,)), each.name, each.status) for each in found)
    return format_html_join("", '<p><a href="{}">{}</a>, {}</p>', lines) or format_html("{}", "None.")


add_section("Journeys", show_journeys)
