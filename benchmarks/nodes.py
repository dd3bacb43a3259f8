"""Node types that do nothing, so that what is measured is the engine."""

from engine.nodes import registry
from engine.nodes.base import Category, EmptyConfig, Node, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Outcome


@registry.node
class Noop(Node):
    """Done at once, inside the loop's transaction."""

    type = "noop"
    category = Category.ACTION
    title = "Nothing"
    description = "Does nothing, in the loop."
    runs_as = RunsAs.INLINE

    def execute(self, config: EmptyConfig, step: StepContext) -> Outcome:
        """Do nothing."""
        return Completed({})


@registry.node
class NoopActivity(Node):
    """Done at once, as a recorded side effect on an activity worker."""

    type = "noop_activity"
    category = Category.ACTION
    title = "Nothing, as a side effect"
    description = "Does nothing, on an activity worker."
    runs_as = RunsAs.ACTIVITY

    def execute(self, config: EmptyConfig, step: StepContext) -> Outcome:
        """Do nothing."""
        return Completed({})
