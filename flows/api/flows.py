"""Flows: their names, and switching them on and off."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from flows import lifecycle, queries
from flows.api.durations import DurationField
from flows.api.filters import Several
from flows.api.graphs import GraphField
from flows.api.shapes import FlowShape
from flows.lifecycle import NAME_LENGTH, Overdue
from flows.models import Flow
from flows.models.flow import FlowStatus
from tenants.api.base import TenantRequest, TenantView
from tenants.api.parts import Part


class NoInput(serializers.Serializer[Any]):
    """A body without fields."""


class FlowAnswers(TenantView):
    """What the views of flows share: their answer."""

    Output = FlowShape

    def answer(self, flow: Flow, status: int = 200) -> Response:
        """Give the flow as it is stored now."""
        return Response(FlowShape(self.get_row(queries.flows(flow.tenant_id), flow.pk)).data, status=status)


class FlowsView(FlowAnswers):
    """Make flows and list them."""

    paginated = True

    class Filters(serializers.Serializer[Any]):
        """Which flows to list."""

        status = Several(FlowStatus.values, required=False)
        search = serializers.CharField(required=False, allow_blank=True, max_length=NAME_LENGTH)

    class Input(serializers.Serializer[Any]):
        """A new flow."""

        name = serializers.CharField(max_length=NAME_LENGTH)
        description = serializers.CharField(allow_blank=True, default="")
        graph = GraphField(required=False)

    def get(self, request: TenantRequest) -> Response:
        """List the tenant's flows, newest first."""
        asked = self.filters()
        whose, statuses = {"tenant_id": request.tenant.pk}, dict.fromkeys(asked.get("status", ()))
        rows = queries.with_latest_number(Flow.objects.get_queryset())
        if not asked.get("search"):
            parts = [Part({**whose, "status": status}) for status in statuses] or [Part(whose)]
            return self.paginate(rows, FlowShape, parts=parts)
        found = queries.called(asked["search"], statuses=statuses)
        return self.paginate(rows, FlowShape, parts=[found], sifted=Part(whose))

    def post(self, request: TenantRequest) -> Response:
        """Make a flow in draft."""
        return self.answer(lifecycle.create(request.tenant, **self.parse(self.Input)), status=201)


class FlowView(FlowAnswers):
    """One flow."""

    class Input(serializers.Serializer[Any]):
        """What can be changed of a flow."""

        name = serializers.CharField(max_length=NAME_LENGTH)
        description = serializers.CharField(allow_blank=True, default="")

    class Changes(serializers.Serializer[Any]):
        """What can be changed of a flow, each on its own."""

        name = serializers.CharField(max_length=NAME_LENGTH, required=False)
        description = serializers.CharField(allow_blank=True, required=False)

    def get(self, request: TenantRequest, flow_id: str) -> Response:
        """Show a flow."""
        return Response(FlowShape(self.get_row(queries.flows(request.tenant), flow_id)).data)

    def put(self, request: TenantRequest, flow_id: str) -> Response:
        """Replace name and description."""
        return self.answer(lifecycle.edit(self.get_row(Flow, flow_id), **self.parse(self.Input)))

    @extend_schema(request=Changes)
    def patch(self, request: TenantRequest, flow_id: str) -> Response:
        """Change name or description."""
        return self.answer(lifecycle.edit(self.get_row(Flow, flow_id), **self.parse(self.Changes)))

    def delete(self, request: TenantRequest, flow_id: str) -> Response:
        """Delete a flow that was never active."""
        lifecycle.delete(self.get_row(Flow, flow_id))
        return Response(status=204)


class ActivateView(FlowAnswers):
    """Let participants in."""

    @extend_schema(request=NoInput, responses=FlowShape)
    def post(self, request: TenantRequest, flow_id: str) -> Response:
        """Activate a draft or paused flow; with nothing published yet, its newest draft is published."""
        self.parse(NoInput)
        return self.answer(lifecycle.activate(self.get_row(Flow, flow_id), by=request.principal.actor))


class PauseView(FlowAnswers):
    """Hold everybody."""

    @extend_schema(request=NoInput, responses=FlowShape)
    def post(self, request: TenantRequest, flow_id: str) -> Response:
        """Pause an active flow."""
        self.parse(NoInput)
        return self.answer(lifecycle.pause(self.get_row(Flow, flow_id)))


class ResumeView(FlowAnswers):
    """Go on after a pause."""

    class Input(serializers.Serializer[Any]):
        """What becomes of waits that became due meanwhile."""

        overdue = serializers.ChoiceField([each.value for each in Overdue], default=Overdue.RUN.value)
        spread_over = DurationField(required=False)

    @extend_schema(request=Input, responses=FlowShape)
    def post(self, request: TenantRequest, flow_id: str) -> Response:
        """Resume a paused flow."""
        given = self.parse(self.Input)
        return self.answer(lifecycle.resume(self.get_row(Flow, flow_id), **given))


class ArchiveView(FlowAnswers):
    """Take no more entries."""

    @extend_schema(request=NoInput, responses=FlowShape)
    def post(self, request: TenantRequest, flow_id: str) -> Response:
        """Archive a flow; whoever is inside finishes."""
        self.parse(NoInput)
        return self.answer(lifecycle.archive(self.get_row(Flow, flow_id)))


class DuplicateView(FlowAnswers):
    """Copy a flow."""

    class Input(serializers.Serializer[Any]):
        """What the copy is called."""

        name = serializers.CharField(max_length=NAME_LENGTH, required=False)

    def post(self, request: TenantRequest, flow_id: str) -> Response:
        """Make a flow in draft with the newest version's graph."""
        return self.answer(lifecycle.duplicate(self.get_row(Flow, flow_id), **self.parse(self.Input)), status=201)
