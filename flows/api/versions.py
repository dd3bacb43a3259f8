"""Versions of a flow: drafts, what is wrong with them, publishing them, and how they differ."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from flows import publishing, queries, versioning, versions
from flows.api.flows import NoInput
from flows.api.graphs import GraphField
from flows.api.shapes import DiffShape, ValidationShape, VersionShape
from flows.models import Flow, FlowVersion
from tenants.api.base import TenantRequest, TenantView


class NodeIdField(serializers.CharField):
    """A node's id; nothing else becomes one."""

    def to_internal_value(self, data: Any) -> str:
        """Refuse what is no text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class VersionOfFlow(TenantView):
    """What the views of one version share: finding it below its flow."""

    def version(self, flow_id: str, number: int) -> FlowVersion:
        """Find the version; a 404 when the flow or the number is unknown."""
        flow = self.get_row(Flow, flow_id)
        return self.get_row(queries.versions(flow).select_related("tenant"), number, field="number")


class VersionsView(TenantView):
    """The versions of a flow."""

    paginated = True
    Output = VersionShape

    class Input(serializers.Serializer[Any]):
        """A new draft."""

        graph = GraphField()
        changelog = serializers.CharField(allow_blank=True, default="")

    def get(self, request: TenantRequest, flow_id: str) -> Response:
        """List the versions of a flow, newest first."""
        flow = self.get_row(Flow, flow_id)
        return self.paginate(queries.versions(flow).select_related("tenant"), VersionShape, ordering=("-number",))

    def post(self, request: TenantRequest, flow_id: str) -> Response:
        """Add a draft; an incomplete graph is kept, with what is wrong with it."""
        flow = self.get_row(Flow, flow_id)
        return Response(VersionShape(versions.create_draft(flow, **self.parse(self.Input))).data, status=201)


class VersionView(VersionOfFlow):
    """One version."""

    Output = VersionShape

    class Input(serializers.Serializer[Any]):
        """What can be changed of a draft."""

        graph = GraphField(required=False)
        changelog = serializers.CharField(allow_blank=True, required=False)

    def get(self, request: TenantRequest, flow_id: str, number: int) -> Response:
        """Show a version."""
        return Response(VersionShape(self.version(flow_id, number)).data)

    def patch(self, request: TenantRequest, flow_id: str, number: int) -> Response:
        """Change a draft."""
        version = self.version(flow_id, number)
        return Response(VersionShape(versions.update_draft(version, **self.parse(self.Input))).data)


class ValidateView(VersionOfFlow):
    """What is wrong with a version."""

    @extend_schema(request=NoInput, responses=ValidationShape)
    def post(self, request: TenantRequest, flow_id: str, number: int) -> Response:
        """Check a version as publishing would; nothing is changed."""
        self.parse(NoInput)
        version = self.version(flow_id, number)
        return Response(publishing.validate(version.graph, version.tenant).as_json())


class PublishView(VersionOfFlow):
    """Make a version the one that its flow runs."""

    class Input(serializers.Serializer[Any]):
        """How running instances come to it."""

        strategy = serializers.CharField(max_length=32, default=publishing.NEW_ENTRIES_ONLY)
        rollout_percent = serializers.IntegerField(min_value=1, max_value=100, required=False, source="percent")
        node_mapping = serializers.DictField(child=NodeIdField(max_length=64), required=False)
        removed_node_policy = serializers.ChoiceField(("skip", "exit", "hold"), required=False)
        reason = serializers.CharField(allow_blank=True, required=False)

    @extend_schema(request=Input, responses=VersionShape)
    def post(self, request: TenantRequest, flow_id: str, number: int) -> Response:
        """Publish a version; it is validated again, and the one before becomes deprecated."""
        version = self.version(flow_id, number)
        rollout = publishing.Rollout(**self.parse(self.Input))
        return Response(VersionShape(publishing.publish(version, by=request.principal.actor, rollout=rollout)).data)


class DiffView(VersionOfFlow):
    """How two versions differ."""

    Output = DiffShape

    def get(self, request: TenantRequest, flow_id: str, number: int, other: int) -> Response:
        """Say what becomes of the first version to make it the second."""
        before, after = self.version(flow_id, number), self.version(flow_id, other)
        return Response(versioning.diff(before.graph, after.graph))
