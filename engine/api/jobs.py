"""Acts on many runs or side effects, and their progress."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import errors, jobs
from engine.models import Job
from flows import queries as flow_queries
from flows.api.filters import InstanceFilters, as_query
from tenants.api.base import TenantRequest, TenantView

MAX_IDS: Final = 10_000


class NoInput(serializers.Serializer[Any]):
    """A body without fields."""


class JobErrorOutput(serializers.Serializer[Any]):
    """One thing that the job could not do."""

    id = serializers.UUIDField(required=False)
    line = serializers.IntegerField(required=False)
    participant_id = serializers.CharField(required=False)
    code = serializers.CharField()
    detail = serializers.CharField()


class JobOutput(serializers.Serializer[Any]):
    """How far a job is."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    action = serializers.CharField()
    status = serializers.ChoiceField(Job.Status.choices)
    matched = serializers.IntegerField()
    done = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    refused = serializers.IntegerField()
    errors = JobErrorOutput(many=True)  # type: ignore[assignment]  # a field, not the property
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)


class RequestedOutput(serializers.Serializer[Any]):
    """A job that was asked for."""

    job_id = serializers.UUIDField()
    matched = serializers.IntegerField()


class InstanceBulkInput(InstanceFilters):
    """Which runs, by ids or by the filters of their list, and what is done to them."""

    action = serializers.ChoiceField(("cancel", "retry", "pause", "resume"))
    ids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=MAX_IDS)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class InstanceBulkView(TenantView):
    """Do something to many runs."""

    @extend_schema(request=InstanceBulkInput, responses={202: RequestedOutput})
    def post(self, request: TenantRequest) -> Response:
        """Freeze the set that is asked for, and work it off in the background."""
        given = dict(self.parse(InstanceBulkInput))
        action, ids, reason = given.pop("action"), given.pop("ids", None), given.pop("reason", "")
        refuse_nothing(ids, given)
        chosen = flow_queries.instances(request.tenant, **as_query(given)).whole
        if ids is not None:
            chosen = chosen.filter(pk__in=ids)
        actor = request.principal.actor
        job = jobs.request(request.tenant, "instances", action, chosen=chosen, params={"reason": reason}, actor=actor)
        return accepted(job)


class JobView(TenantView):
    """One job."""

    Output = JobOutput

    def get(self, request: TenantRequest, job_id: str) -> Response:
        """Show how far a job is."""
        return Response(JobOutput(self.get_row(Job, job_id)).data)


class JobCancelView(TenantView):
    """Stop a job."""

    @extend_schema(request=NoInput, responses=JobOutput)
    def post(self, request: TenantRequest, job_id: str) -> Response:
        """Stop after the batch at hand; what is done stays done."""
        self.parse(NoInput)
        return Response(JobOutput(jobs.cancel(self.get_row(Job, job_id))).data)


def refuse_nothing(ids: list[UUID] | None, filters: dict[str, Any]) -> None:
    """Raise NothingChosen where neither ids nor filters say which."""
    if not ids and not filters:
        raise errors.NothingChosen(attr="ids")


def accepted(job: Job) -> Response:
    """Answer that the job will be done."""
    return Response(RequestedOutput({"job_id": job.pk, "matched": job.matched}).data, status=202)
