"""Side effects, and what an operator does to the parked ones."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import jobs, repairs
from engine.api.events import correlation_of
from engine.api.jobs import MAX_IDS, NoInput, RequestedOutput, accepted, refuse_nothing
from engine.models import Activity
from engine.models.activity import ActivityStatus
from flows.api.filters import Several
from tenants.api.base import TenantRequest, TenantView
from tenants.api.parts import Part


class ActivityOutput(serializers.Serializer[Any]):
    """A side effect."""

    id = serializers.UUIDField()
    flow_id = serializers.UUIDField(allow_null=True)
    instance_id = serializers.UUIDField(allow_null=True)
    node_id = serializers.CharField(allow_blank=True)
    kind = serializers.CharField()
    target = serializers.CharField()
    status = serializers.ChoiceField(ActivityStatus.choices)
    attempts = serializers.IntegerField()
    idempotency_key = serializers.CharField()
    input = serializers.JSONField()
    result = serializers.JSONField(allow_null=True)
    error = serializers.JSONField(allow_null=True)
    due_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)


class ActivityFilters(serializers.Serializer[Any]):
    """Which side effects to list."""

    status = Several(ActivityStatus.values, required=False)
    flow_id = serializers.UUIDField(required=False)
    instance_id = serializers.UUIDField(required=False)
    node_id = serializers.CharField(required=False, max_length=64)
    target = serializers.CharField(required=False, max_length=255)


class CompleteInput(serializers.Serializer[Any]):
    """What a side effect that was done otherwise resulted in."""

    result = serializers.DictField(required=False)
    branch = serializers.CharField(required=False, allow_null=True, max_length=64)


class FailInput(serializers.Serializer[Any]):
    """Why a side effect is given up."""

    reason = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class ActivityBulkInput(ActivityFilters, CompleteInput, FailInput):
    """Which side effects, by ids or by the filters of their list, and what is done to them."""

    action = serializers.ChoiceField(("retry", "complete", "fail"))
    ids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=MAX_IDS)


# What each act takes besides its targets.
PARAMETERS = {"retry": (), "complete": ("result", "branch"), "fail": ("reason",)}


class ActivitiesView(TenantView):
    """The tenant's side effects."""

    paginated = True
    Output = ActivityOutput

    class Filters(ActivityFilters):
        """Which side effects to list."""

    def get(self, request: TenantRequest) -> Response:
        """List side effects, newest first."""
        asked = self.filters()
        if "instance_id" in asked:
            parts = [Part(also=Q(**_as_query(asked)))]
        else:
            statuses = dict.fromkeys(asked.pop("status", ActivityStatus.values))
            parts = [Part({"tenant_id": request.tenant.pk, "status": status}, Q(**asked)) for status in statuses]
        return self.paginate(Activity.objects.get_queryset(), ActivityOutput, parts=parts)


class ActivityRetryView(TenantView):
    """Do a parked side effect again."""

    @extend_schema(request=NoInput, responses=ActivityOutput)
    def post(self, request: TenantRequest, activity_id: str) -> Response:
        """Do it once more, now, under the same idempotency key."""
        activity = self.get_row(Activity, activity_id)
        self.parse(NoInput)
        return Response(ActivityOutput(repairs.retry_activity(activity, **_whence(request))).data)


class ActivityCompleteView(TenantView):
    """Declare a parked side effect done."""

    @extend_schema(request=CompleteInput, responses=ActivityOutput)
    def post(self, request: TenantRequest, activity_id: str) -> Response:
        """Its node goes on with the given result."""
        activity = self.get_row(Activity, activity_id)
        given = self.parse(CompleteInput)
        return Response(ActivityOutput(repairs.complete_activity(activity, **given, **_whence(request))).data)


class ActivityFailView(TenantView):
    """Give a parked side effect up."""

    @extend_schema(request=FailInput, responses=ActivityOutput)
    def post(self, request: TenantRequest, activity_id: str) -> Response:
        """Its node fails; what follows is its `on_failure`."""
        activity = self.get_row(Activity, activity_id)
        given = self.parse(FailInput)
        return Response(ActivityOutput(repairs.fail_activity(activity, **given, **_whence(request))).data)


class ActivityBulkView(TenantView):
    """Do something to many parked side effects."""

    @extend_schema(request=ActivityBulkInput, responses={202: RequestedOutput})
    def post(self, request: TenantRequest) -> Response:
        """Freeze the set that is asked for, and work it off in the background."""
        given = dict(self.parse(ActivityBulkInput))
        action, ids = given.pop("action"), given.pop("ids", None)
        said = {name: given.pop(name) for name in ("result", "branch", "reason") if name in given}
        params = {name: value for name, value in said.items() if name in PARAMETERS[action]}
        refuse_nothing(ids, given)
        chosen = Activity.objects.for_tenant(request.tenant).filter(**_as_query(given))
        if ids is not None:
            chosen = chosen.filter(pk__in=ids)
        actor = request.principal.actor
        return accepted(jobs.request(request.tenant, "activities", action, chosen=chosen, params=params, actor=actor))


def _as_query(filters: dict[str, Any]) -> dict[str, Any]:
    names = {"status": "status__in"}
    return {names.get(name, name): value for name, value in filters.items()}


def _whence(request: TenantRequest) -> dict[str, Any]:
    return {"actor": request.principal.actor, "correlation_id": correlation_of(request)}
