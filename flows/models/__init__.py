"""What a flow is, as rows."""

from flows.models.flow import Flow
from flows.models.instance import FlowEntry, FlowInstance
from flows.models.step import ExecutionStep
from flows.models.version import FlowTrigger, FlowVersion

__all__ = ["ExecutionStep", "Flow", "FlowEntry", "FlowInstance", "FlowTrigger", "FlowVersion"]
