"""What the API shows of flows, versions, instances and steps; the served schema is read from these classes."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flows import publishing, queries, versions
from flows.api.graphs import GraphField
from flows.models import ExecutionStep, Flow, FlowInstance, FlowVersion
from flows.models.flow import FlowStatus
from flows.models.instance import InstanceStatus
from flows.models.step import StepStatus
from flows.models.version import VersionStatus

JSON = dict[str, Any]


class TextOrNull(serializers.CharField):
    """A text that is null where it says nothing."""

    def __init__(self, **kwargs: Any) -> None:
        """Show null as such in the schema."""
        super().__init__(allow_null=True, **kwargs)

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]  # null is the point of it
        """Give null for an empty text."""
        return value or None


class FlowShape(serializers.Serializer[Flow]):
    """A flow; its versions by their numbers."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    status = serializers.ChoiceField(FlowStatus.choices)
    active_version = serializers.IntegerField(source="active_version.number", allow_null=True)
    latest_version = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_latest_version(self, flow: Flow) -> int | None:
        """Take the number from a list's query, or look it up."""
        if "latest_number" in vars(flow):
            return vars(flow)["latest_number"]  # type: ignore[no-any-return]  # annotated by queries.flows
        newest = versions.newest(flow)
        return newest.number if newest else None


class ProblemShape(serializers.Serializer[Any]):
    """What is wrong with a graph at one place."""

    code = serializers.CharField()
    detail = serializers.CharField()
    attr = serializers.CharField(allow_null=True)
    node_id = serializers.CharField(allow_null=True)


class ValidationShape(serializers.Serializer[Any]):
    """Whether a graph can be published, and what is wrong with it."""

    valid = serializers.BooleanField()
    errors = ProblemShape(many=True)  # type: ignore[assignment]  # the contract's name; the metaclass takes it away
    warnings = ProblemShape(many=True)


class VersionShape(serializers.Serializer[FlowVersion]):
    """A version with its graph as its author wrote it."""

    number = serializers.IntegerField()
    status = serializers.ChoiceField(VersionStatus.choices)
    graph = GraphField()
    changelog = serializers.CharField()
    validation = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    published_at = serializers.DateTimeField(allow_null=True)
    published_by = TextOrNull()

    @extend_schema_field(ValidationShape)
    def get_validation(self, version: FlowVersion) -> JSON:
        """Check the graph as publishing would."""
        return publishing.validate(version.graph, version.tenant).as_json()


class ChangeShape(serializers.Serializer[Any]):
    """One changed value."""

    path = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class ChangedNodeShape(serializers.Serializer[Any]):
    """A node that is in both graphs."""

    node_id = serializers.CharField()
    fields = ChangeShape(many=True)  # type: ignore[assignment]  # the contract's name; the metaclass takes it away


class NodesDiffShape(serializers.Serializer[Any]):
    """Nodes by their ids."""

    added = serializers.ListField(child=serializers.CharField())
    removed = serializers.ListField(child=serializers.CharField())
    changed = ChangedNodeShape(many=True)


class EdgeShape(serializers.Serializer[Any]):
    """An edge of a graph."""

    source = serializers.CharField()  # type: ignore[assignment]  # the contract's name; the metaclass takes it away
    target = serializers.CharField()
    branch = serializers.CharField(allow_null=True)


class EdgesDiffShape(serializers.Serializer[Any]):
    """Edges that are in one graph only."""

    added = EdgeShape(many=True)
    removed = EdgeShape(many=True)


class DiffShape(serializers.Serializer[Any]):
    """What becomes of one version to make it another."""

    nodes = NodesDiffShape()
    edges = EdgesDiffShape()
    settings = ChangeShape(many=True)


class ErrorShape(serializers.Serializer[Any]):
    """Why something failed."""

    code = serializers.CharField()
    detail = serializers.CharField(allow_null=True)
    node_id = serializers.CharField(allow_null=True)


class WaitingForShape(serializers.Serializer[Any]):
    """What would wake a token."""

    event_types = serializers.ListField(child=serializers.CharField(), default=list)
    until = serializers.DateTimeField(allow_null=True)


class TokenShape(serializers.Serializer[Any]):
    """Where an instance stands."""

    node_id = serializers.CharField()
    node_type = serializers.CharField()
    status = serializers.ChoiceField(("running", "waiting", "held", "failed"))
    since = serializers.DateTimeField(allow_null=True)
    waiting_for = WaitingForShape(allow_null=True)


class ContextShape(serializers.Serializer[Any]):
    """What an instance knows: what its caller passed, and each node's result."""

    entry = serializers.DictField(default=dict)
    accumulated = serializers.DictField(default=dict)


class InstanceShape(serializers.Serializer[FlowInstance]):
    """One participant's passage through a flow."""

    id = serializers.UUIDField()
    flow_id = serializers.UUIDField()
    flow_name = serializers.CharField(source="flow.name")
    version = serializers.IntegerField(source="version.number")
    participant_id = serializers.CharField()
    correlation_key = TextOrNull()
    status = serializers.ChoiceField(InstanceStatus.choices)
    exit_reason = TextOrNull()
    error = ErrorShape(allow_null=True)
    current_nodes = TokenShape(many=True)
    context = ContextShape()  # type: ignore[assignment]  # the contract's name; the metaclass takes it away
    migrated_from_version = serializers.IntegerField(allow_null=True)
    migrated_at = serializers.DateTimeField(allow_null=True)
    entered_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    exited_at = serializers.DateTimeField(allow_null=True)


class StepShape(serializers.Serializer[ExecutionStep]):
    """One run of one node."""

    id = serializers.UUIDField()
    node_id = serializers.CharField()
    node_type = serializers.CharField()
    version = serializers.IntegerField()
    attempt = serializers.IntegerField()
    status = serializers.ChoiceField(StepStatus.choices)
    branch = serializers.CharField(allow_null=True)
    input = serializers.JSONField(allow_null=True)
    output = serializers.JSONField(allow_null=True)
    error = serializers.JSONField(allow_null=True)
    started_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)


class InstanceWithStepsShape(InstanceShape):
    """An instance and every node run of it, in order."""

    steps = serializers.SerializerMethodField()

    @extend_schema_field(StepShape(many=True))
    def get_steps(self, instance: FlowInstance) -> list[JSON]:
        """Read the steps."""
        return [represent_step(step) for step in queries.steps(instance)]


def represent_instance(instance: FlowInstance) -> JSON:
    """Give an instance as the API shows it, without its steps."""
    return dict(InstanceShape(instance).data)


def represent_step(step: ExecutionStep) -> JSON:
    """Give a step as the API shows it."""
    return dict(StepShape(step).data)
