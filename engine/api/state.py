"""What a run was, at any point of its log."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from engine import replay
from engine.execution.folding import FOLD
from engine.snapshots.loading import Aggregate
from flows.api.shapes import InstanceShape
from flows.models import FlowInstance
from tenants.api.base import TenantRequest, TenantView
from tenants.api.schema import ERRORS

UNREADABLE: dict[str, Any] = {**ERRORS}
UNREADABLE["properties"] = {**UNREADABLE["properties"], "sequence": {"type": "integer"}}


class InstanceStateShape(InstanceShape):
    """A run as it was after the event `sequence`, of the `last_sequence` that there are."""

    flow_name = serializers.CharField()
    version = serializers.IntegerField()
    sequence = serializers.IntegerField()
    last_sequence = serializers.IntegerField()
    recorded_at = serializers.DateTimeField()


class InstanceStateView(TenantView):
    """A run at a point of its log."""

    Output = InstanceStateShape

    class Filters(serializers.Serializer[Any]):
        """Which point."""

        at = serializers.CharField(
            required=False,
            max_length=64,
            help_text="The number of an event, or a time (ISO 8601); without it, the run as it is.",
        )

    @extend_schema(
        responses={
            200: InstanceStateShape,
            409: OpenApiResponse(UNREADABLE, "An event of the log has no place in it; `sequence` names it."),
        }
    )
    def get(self, request: TenantRequest, instance_id: str) -> Response:
        """Show the run as its events up to that point tell it."""
        instance = self.get_row(FlowInstance.objects.select_related("flow"), instance_id)
        at = self.filters().get("at")
        aggregate = Aggregate(str(request.tenant.pk), str(instance.pk), FOLD)
        found = replay.replay(aggregate, None if at is None else replay.parse(at), with_snapshot=True)
        told = {
            **found.as_json,
            "id": found.aggregate.id,
            "flow_name": instance.flow.name,
            "version": found.state.version,
            "sequence": found.sequence,
            "last_sequence": found.last,
            "recorded_at": found.event.at,
        }
        return Response(InstanceStateShape(told).data)  # type: ignore[arg-type]  # no row: what it was
