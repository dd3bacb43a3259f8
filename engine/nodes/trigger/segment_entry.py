"""Start when the participant enters or leaves a segment."""

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from engine.nodes import registry
from engine.nodes.base import Category, Node, NodeConfig, Reference, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Completed, Outcome


@registry.node
class SegmentEntry(Node):
    """A change of membership starts the flow."""

    type = "segment_entry"
    category = Category.TRIGGER
    title = "Segment"
    description = "Starts the flow for a participant who enters a segment, or leaves it."
    runs_as = RunsAs.INLINE
    result_schema: ClassVar[JSON] = {"type": "object", "properties": {}}

    class Config(NodeConfig):
        """Which change of membership."""

        segment_id: str = Field(min_length=1, max_length=200, description="The segment.")
        on: Literal["entered", "left"] = Field("entered", description="Whether entering or leaving it starts the flow.")

    def references_of(self, config: Config) -> Iterable[Reference]:
        """The segment."""
        return (Reference("segment", config.segment_id, "segment_id"),)

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Complete: what starts the flow has happened already."""
        return Completed()
