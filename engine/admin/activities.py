"""Side effects in the admin: what is parked waits here for somebody to decide."""

from __future__ import annotations

from typing import Any

import orjson
from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils.safestring import SafeString

from engine import repairs
from engine.admin.pages import EnginePage, act_on_many, reason_of
from engine.models import Activity
from engine.models.activity import ActivityStatus
from flows.admin.pages import Button, ReasonForm, WithButtons, pretty
from flows.admin.walks import Walked
from tenants import jsontext
from tenants.errors import Invalid, InvalidInput, Problem

# The beginning of what went wrong last; the rest of it is large.
WHY = Left(KeyTextTransform("detail", "error"), 160)


def _retry(activity: Activity, by: str) -> str:
    repairs.retry_activity(activity, actor=by)
    return "It is done once more, now."


def _complete(activity: Activity, by: str, text: str) -> str:
    repairs.complete_activity(activity, _result(text), actor=by)
    return "It counts as done; the run goes on."


def _fail(activity: Activity, by: str, reason: str) -> str:
    repairs.fail_activity(activity, reason=reason, actor=by)
    return "It is given up; the node's on_failure decides what follows."


def _is_parked(activity: Activity) -> bool:
    return bool(activity.status == ActivityStatus.PARKED)


def _result(text: str) -> dict[str, Any]:
    try:
        given = jsontext.loads(text.encode()) if text.strip() else {}
    except (InvalidInput, orjson.JSONDecodeError):
        given = None
    if not isinstance(given, dict):
        raise Invalid([Problem("invalid", 'The result must be a JSON object, such as {"status": 200}.', "result")])
    return given


RETRY = Button("retry", "Retry", _retry, _is_parked)
COMPLETE = Button("complete", "Complete", _complete, _is_parked, asks="result as JSON, or nothing")
FAIL = Button("fail", "Fail", _fail, _is_parked, asks="reason")


@admin.register(Activity)
class ActivityAdmin(EnginePage[Activity], WithButtons[Activity]):
    """Side effects; a search is for the id of an instance, or an idempotency key."""

    list_display = ("kind", "target", "status", "attempts", "said", "node_id", "due_at", "run", "tenant")
    list_filter = ("status", "tenant")
    walked = Walked("status", by_tenant=False)
    list_select_related = ("tenant",)
    ids = ("id", "instance_id")
    searched = ("idempotency_key",)
    action_form = ReasonForm
    actions = ("retry", "complete", "fail")
    fieldsets = (
        (None, {"fields": ("id", "tenant", "run", "node_id", "kind", "target", "status", "error_text")}),
        ("Attempts", {"fields": ("attempts", "deaths", "held", "due_at", "lease_until", "worker")}),
        ("Times", {"fields": ("created_at", "started_at", "completed_at")}),
        ("Data", {"fields": ("input_text", "result_text", "policy_text", "idempotency_key")}),
    )
    readonly_fields = ("run", "error_text", "result_text", "input_text", "policy_text")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Activity]:
        """Leave what is large out of the list."""
        rows = super().get_queryset(request)
        if request.resolver_match and "object_id" in request.resolver_match.kwargs:
            return rows
        return rows.defer("input", "result", "error", "policy").annotate(said=WHY)

    def buttons(self) -> tuple[Button[Activity], ...]:
        """Give the verbs of a parked side effect."""
        return RETRY, COMPLETE, FAIL

    @admin.display(description="why")
    def said(self, row: Activity) -> str:
        """Say what went wrong last, in short."""
        return getattr(row, "said", None) or ""

    @admin.display(description="error", empty_value="none")
    def error_text(self, row: Activity) -> SafeString | None:
        """Show what went wrong last."""
        return pretty(row.error) if row.error else None

    @admin.display(description="result", empty_value="none")
    def result_text(self, row: Activity) -> SafeString | None:
        """Show what came of it."""
        return pretty(row.result) if row.result else None

    @admin.display(description="input")
    def input_text(self, row: Activity) -> SafeString:
        """Show what it was asked to do."""
        return pretty(row.input)

    @admin.display(description="policy")
    def policy_text(self, row: Activity) -> SafeString:
        """Show how it is retried."""
        return pretty(row.policy)

    @admin.action(description="Retry the selected side effects", permissions=["press"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Activity]) -> None:
        """Retry what is parked among them."""
        verb = repairs.retry_activities
        act_on_many(self, request, queryset, of=("activities", "retry"), verb=verb, params={})

    @admin.action(description="Complete the selected side effects", permissions=["press"])
    def complete(self, request: HttpRequest, queryset: QuerySet[Activity]) -> None:
        """Declare what is parked among them done, without a result."""
        verb = repairs.complete_activities
        act_on_many(self, request, queryset, of=("activities", "complete"), verb=verb, params={})

    @admin.action(description="Fail the selected side effects", permissions=["press"])
    def fail(self, request: HttpRequest, queryset: QuerySet[Activity]) -> None:
        """Give up what is parked among them."""
        params = {"reason": reason_of(request)}
        verb = repairs.fail_activities
        act_on_many(self, request, queryset, of=("activities", "fail"), verb=verb, params=params)
