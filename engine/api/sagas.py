"""Sagas over REST: start one by the name of its definition, look at it, cancel and resume it."""

from __future__ import annotations

from typing import Any, TypedDict

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import errors
from engine.api.events import correlation_of
from engine.api.instances import ReasonInput
from engine.api.jobs import NoInput
from engine.models import SagaRun
from engine.sagas import controls, starting
from engine.workflow_state import WorkflowState
from flows.api.filters import Several
from tenants.api.base import TenantRequest, TenantView
from tenants.api.parts import Part
from tenants.ids import uuid7

# A name stands in an address, so it has no slash and is no way up.
NAME = r"^(?!\.{1,2}$)[^/\x00-\x1f\x7f]+$"
STEP_STATES = ("pending", "running", "completed", "failed", "unknown", "skipped")
COMPENSATION_STATES = ("none", "pending", "running", "done", "failed")


class SagaError(serializers.Serializer[Any]):
    """What went wrong."""

    code = serializers.CharField()
    detail = serializers.CharField()


class CompensationOutput(serializers.Serializer[Any]):
    """How far a step is undone; `none` where there is nothing to undo."""

    state = serializers.ChoiceField(COMPENSATION_STATES)
    attempts = serializers.IntegerField()
    error = SagaError(allow_null=True)


class StepOutput(serializers.Serializer[Any]):
    """One step of a saga."""

    name = serializers.CharField()
    state = serializers.ChoiceField(STEP_STATES)
    attempts = serializers.IntegerField()
    result = serializers.JSONField(allow_null=True)
    error = SagaError(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    compensation = CompensationOutput()


class SagaOutput(serializers.Serializer[Any]):
    """A saga; `results` are those of its steps by their names, `error` why it ended or is stuck."""

    saga_id = serializers.CharField()
    definition = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(WorkflowState.choices)
    input = serializers.JSONField()
    results = serializers.DictField()
    error = SagaError(allow_null=True)
    steps = StepOutput(many=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)


class SagaStarted(serializers.Serializer[Any]):
    """A saga that has been taken on."""

    saga_id = serializers.CharField()
    state = serializers.ChoiceField(WorkflowState.choices)


class SagaInput(serializers.Serializer[Any]):
    """Which definition, under which name, with what."""

    definition = serializers.CharField(max_length=128)
    saga_id = serializers.RegexField(
        NAME, max_length=255, required=False, trim_whitespace=False, help_text="Unique; made up where it is not given."
    )
    input = serializers.DictField(required=False)


class SagaFilters(serializers.Serializer[Any]):
    """Which sagas to list."""

    state = Several(WorkflowState.values, required=False)
    definition = serializers.CharField(required=False, max_length=128)


class SagasView(TenantView):
    """The tenant's sagas."""

    paginated = True
    Output = SagaOutput

    class Filters(SagaFilters):
        """Which sagas to list."""

    def get(self, request: TenantRequest) -> Response:
        """List sagas, newest first."""
        asked = self.filters()
        along, states = {"tenant_id": request.tenant.pk}, dict.fromkeys(asked.get("state", ()))
        if "definition" in asked:
            along["definition"] = asked["definition"]
            states = states or dict.fromkeys(WorkflowState.values)
        parts = [Part({**along, "status": state}) for state in states] or [Part(along)]
        return self.paginate(SagaRun.objects.get_queryset(), shown, parts=parts)

    @extend_schema(request=SagaInput, responses={201: SagaStarted})
    def post(self, request: TenantRequest) -> Response:
        """Start a saga on the workers; it is durable when this answers."""
        given = self.parse(SagaInput)
        name = given.get("saga_id") or str(uuid7())
        started = starting.start_saga_sync(
            given["definition"],
            name,
            given.get("input", {}),
            tenant=request.tenant,
            **asked_by(request),
        )
        return Response(SagaStarted({"saga_id": name, "state": started["state"]}).data, status=201)


class SagaView(TenantView):
    """One saga."""

    Output = SagaOutput

    def get(self, request: TenantRequest, saga_id: str) -> Response:
        """Show a saga with its steps and what was undone."""
        return Response(shown(saga_of(request, saga_id)))


class CancelSagaView(TenantView):
    """End a saga."""

    @extend_schema(request=ReasonInput, responses=SagaOutput)
    def post(self, request: TenantRequest, saga_id: str) -> Response:
        """Begin nothing new, await what runs, undo what was done; or say with 409 what the saga is instead."""
        given = self.parse(ReasonInput)
        saga = saga_of(request, saga_id)
        reason = given.get("reason", "")
        controls.cancel_saga_sync(saga.name, tenant=request.tenant, reason=reason, **asked_by(request))
        return Response(shown(saga_of(request, saga_id)))


class ResumeSagaView(TenantView):
    """Go on with a saga that is stuck."""

    @extend_schema(request=NoInput, responses=SagaOutput)
    def post(self, request: TenantRequest, saga_id: str) -> Response:
        """Try again what had failed for good; 409 for a saga that is not stuck."""
        self.parse(NoInput)
        saga = saga_of(request, saga_id)
        controls.resume_saga_sync(saga.name, tenant=request.tenant, **asked_by(request))
        return Response(shown(saga_of(request, saga_id)))


class AskedBy(TypedDict):
    """Who asks and under which id, as the events will say it."""

    actor: str
    correlation_id: str


def asked_by(request: TenantRequest) -> AskedBy:
    """Give whose request it is."""
    return {"actor": request.principal.actor, "correlation_id": correlation_of(request)}


def saga_of(request: TenantRequest, name: str) -> SagaRun:
    """Find one of the tenant's sagas by its name; raises UnknownSaga."""
    found = SagaRun.objects.for_tenant(request.tenant).filter(name=name).first()
    if found is None:
        raise errors.UnknownSaga
    return found


def shown(saga: SagaRun) -> dict[str, Any]:
    """Give a saga as the API tells it."""
    done = {each["name"]: each["result"] for each in saga.steps if each["state"] == "completed"}
    error = saga.error or (saga.ending or {}).get("error")
    told = {
        "saga_id": saga.name,
        "definition": saga.definition,
        "state": saga.status,
        "input": saga.input,
        "results": done,
        "error": error,
        "steps": saga.steps,
        "created_at": saga.created_at,
        "started_at": saga.started_at,
        "completed_at": saga.completed_at,
    }
    return dict(SagaOutput(told).data)
