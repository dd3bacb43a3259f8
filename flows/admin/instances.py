"""Instances in the admin: where each stands and what it did. Nobody edits one; the engine adds its verbs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from flows import queries
from flows.admin.pages import Button, ReadOnlyPage, ReasonForm, WithButtons, pretty
from flows.admin.walks import Walked
from flows.models import ExecutionStep, FlowInstance

Section = tuple[str, Callable[[FlowInstance], SafeString]]


@dataclass(slots=True)
class Added:
    """What the engine put here: `sections` are (title, instance → HTML), `actions` as Django knows them."""

    buttons: list[Button[FlowInstance]] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    actions: list[Callable[[Any, HttpRequest, QuerySet[FlowInstance]], Any]] = field(default_factory=list)


added = Added()


def add_button(button: Button[FlowInstance]) -> None:
    """Put a verb on the page of an instance."""
    added.buttons.append(button)


def add_section(title: str, show: Callable[[FlowInstance], SafeString]) -> None:
    """Put what `show` gives on the page of an instance."""
    added.sections.append((title, show))


def add_action(action: Callable[[Any, HttpRequest, QuerySet[FlowInstance]], Any]) -> None:
    """Offer an action on the list of instances."""
    added.actions.append(action)


class StepInline(admin.TabularInline):  # type: ignore[type-arg]  # Django's class takes no parameter at run time
    """The node runs of an instance, in order."""

    model = ExecutionStep
    fields = (
        "n",
        "node_id",
        "node_type",
        "attempt",
        "status",
        "branch",
        "output",
        "error",
        "started_at",
        "completed_at",
    )
    readonly_fields = fields
    ordering = ("n",)
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only the engine writes steps."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only the engine writes steps."""
        return False


@admin.register(FlowInstance)
class FlowInstanceAdmin(ReadOnlyPage[FlowInstance], WithButtons[FlowInstance]):
    """Who is where; a search is for the id of an instance or flow, or for a participant."""

    list_display = (
        "participant_id",
        "flow",
        "number",
        "status",
        "stands_at",
        "why",
        "entered_at",
        "updated_at",
        "tenant",
    )
    list_filter = ("status", "tenant")
    walked = Walked("status", by_tenant=False, columns=("entered_at", "id"))
    ids = ("id", "flow_id")
    searched = ("participant_id",)
    inlines = (StepInline,)
    action_form = ReasonForm
    fieldsets = (
        (
            None,
            {"fields": ("id", "tenant", "flow", "number", "participant_id", "correlation_key", "status", "stands_at")},
        ),
        ("What happened", {"fields": ("more",)}),
        ("Times", {"fields": ("entered_at", "updated_at", "completed_at", "exited_at", "exit_reason", "error")}),
        ("Versions", {"fields": ("migrated_from_version", "migrated_at", "sequence", "step_count")}),
        ("Data", {"classes": ("collapse",), "fields": ("tokens", "data")}),
    )
    readonly_fields = ("number", "stands_at", "tokens", "data", "more")

    def get_queryset(self, request: HttpRequest) -> QuerySet[FlowInstance]:
        """Read what the list shows in one statement, without graphs."""
        return queries.with_names(super().get_queryset(request)).select_related("tenant")

    def called(self, row: FlowInstance) -> str:
        """Name the participant and the flow, which is read anyway."""
        return f"{row.participant_id} in {row.flow.name}"

    @admin.display(description="version")
    def number(self, instance: FlowInstance) -> int:
        """Give the version's number."""
        return instance.version.number

    @admin.display(description="stands at", empty_value="nowhere")
    def stands_at(self, instance: FlowInstance) -> str | None:
        """Name the nodes where it stands."""
        tokens = instance.current_nodes or ()
        return ", ".join(f"{token['node_id']} ({token['status']})" for token in tokens) or None

    @admin.display(description="why")
    def why(self, instance: FlowInstance) -> str:
        """Say in short why it failed, or left."""
        return str((instance.error or {}).get("detail") or instance.exit_reason)[:160]

    @admin.display(description="tokens")
    def tokens(self, instance: FlowInstance) -> SafeString:
        """Show where it stands, in full."""
        return pretty(instance.current_nodes)

    @admin.display(description="context")
    def data(self, instance: FlowInstance) -> SafeString:
        """Show what it knows."""
        return pretty(instance.context)

    @admin.display(description="")
    def more(self, instance: FlowInstance) -> SafeString:
        """Show what was added."""
        shown = ((title, show(instance)) for title, show in added.sections)
        return format_html_join("", "<h3>{}</h3>{}", shown)

    def buttons(self) -> tuple[Button[FlowInstance], ...]:
        """Give the verbs that were added."""
        return tuple(added.buttons)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Give the actions that were added."""
        found = super().get_actions(request)
        for action in added.actions if self.may_press(request) else ():
            name = action.__name__
            found[name] = (action, name, getattr(action, "short_description", name.replace("_", " ")))
        return found


@admin.register(ExecutionStep)
class ExecutionStepAdmin(ReadOnlyPage[ExecutionStep]):
    """Steps: every node run there was; a search is for the id of an instance."""

    list_display = ("node_id", "node_type", "status", "branch", "attempt", "instance_id", "started_at", "completed_at")
    ids = ("id", "instance_id")
    fields = (
        "id", "tenant", "instance", "n", "node_id", "node_type", "version", "attempt", "status", "branch",
        "input", "output", "error", "started_at", "completed_at",
    )  # fmt: skip
