"""End the whole run."""

from typing import ClassVar

from pydantic import Field

from engine.nodes import registry
from engine.nodes.base import Category, Node, NodeConfig, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Completed, Outcome


@registry.node
class Exit(Node):
    """The end of the instance, with all its tokens."""

    type = "exit"
    category = Category.END
    title = "Exit"
    description = "Ends the run at once, also where it waits on other branches. Messages already queued are still sent."
    runs_as = RunsAs.INLINE
    result_schema: ClassVar[JSON] = {"type": "object", "properties": {"reason": {"type": "string"}}}

    class Config(NodeConfig):
        """Why."""

        reason: str = Field(
            "exit", min_length=1, max_length=200, description="The reason that the run is recorded with."
        )

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """End."""
        return Completed({"reason": config.reason}, ends=True, reason=config.reason)
