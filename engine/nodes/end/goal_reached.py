"""Record that the goal was reached."""

from typing import ClassVar

from pydantic import Field

from engine.nodes import registry
from engine.nodes.base import Category, Node, NodeConfig, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Completed, Outcome


@registry.node
class GoalReached(Node):
    """The end that the flow is there for."""

    type = "goal_reached"
    category = Category.END
    title = "Goal reached"
    description = "Records a conversion, once per run and goal, and ends the run unless told otherwise."
    runs_as = RunsAs.INLINE
    result_schema: ClassVar[JSON] = {"type": "object", "properties": {"goal_name": {"type": "string"}}}

    class Config(NodeConfig):
        """Which goal."""

        goal_name: str = Field(
            min_length=1, max_length=200, description="The name under which the conversion is recorded."
        )
        exit: bool = Field(True, description="End the whole run; else only this path, while others go on.")

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Name the goal, and end."""
        result = {"goal_name": config.goal_name}
        return Completed(result, ends=config.exit, reason="goal" if config.exit else "", goal=config.goal_name)
