"""Hold for a while."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from engine.nodes import registry
from engine.nodes.base import Category, Node, NodeConfig, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.duration import Duration
from engine.nodes.outcomes import JSON, Completed, Outcome, Waiting
from engine.nodes.wakeups import Wakeup


@registry.node
class Wait(Node):
    """Elapsed time: `3d` is 72 hours, whatever the clocks do meanwhile."""

    type = "wait"
    category = Category.WAIT
    title = "Wait"
    description = "Goes on when a duration has passed: 3d are 72 hours. For a time of day, use wait_until."
    runs_as = RunsAs.INLINE
    result_schema: ClassVar[JSON] = {"type": "object", "properties": {}}

    class Config(NodeConfig):
        """How long."""

        duration: Duration = Field(timedelta(days=1), description='How long to wait, such as "15m", "12h" or "3d".')

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Wait from now."""
        return Waiting(until=step.now + config.duration)

    def resume(self, config: Config, step: StepContext, wakeup: Wakeup) -> Outcome:
        """Go on."""
        return Completed()
