"""Choose between two ways by whether the participant is in a segment now."""

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from engine.nodes import registry
from engine.nodes.base import Category, Need, Node, NodeConfig, Reference, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Branched, Outcome


@registry.node
class CheckSegment(Node):
    """A segment, and a way for those who are in it and for those who are not."""

    type = "check_segment"
    category = Category.CONDITION
    title = "Check segment"
    description = "Asks whether the participant is in a segment now, and takes the branch true or false."
    branches = ("true", "false")
    runs_as = RunsAs.INLINE
    needs = (Need.SEGMENTS,)
    result_schema: ClassVar[JSON] = {"type": "object", "properties": {"matched": {"type": "boolean"}}}

    class Config(NodeConfig):
        """Which segment."""

        segment_id: str = Field(min_length=1, max_length=200, description="The segment, by its slug or id.")

    def references_of(self, config: Config) -> Iterable[Reference]:
        """The segment."""
        return (Reference("segment", config.segment_id, "segment_id"),)

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Take the branch of whether the participant is in it; one without a profile is in none."""
        matched = config.segment_id in step.segments
        return Branched("true" if matched else "false", {"matched": matched})
