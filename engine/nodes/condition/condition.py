"""Choose between two ways by a rule."""

from typing import ClassVar

from pydantic import ConfigDict, RootModel

from engine.expressions import EVERYTHING, Rule
from engine.nodes import registry
from engine.nodes.base import Category, Node, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Branched, Outcome


@registry.node
class Condition(Node):
    """A rule, and a way for each answer."""

    type = "condition"
    category = Category.CONDITION
    title = "Condition"
    description = (
        "Asks a rule about the entry, the participant and earlier results, and takes the branch true or false."
    )
    branches = ("true", "false")
    runs_as = RunsAs.INLINE
    result_schema: ClassVar[JSON] = {"type": "object", "properties": {"matched": {"type": "boolean"}}}

    class Config(RootModel[Rule]):
        """The config is the rule itself; an empty one matches everything."""

        model_config = ConfigDict(frozen=True)
        root: Rule = EVERYTHING

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Take the branch that the rule answers."""
        matched = step.matches(config.root)
        return Branched("true" if matched else "false", {"matched": matched})
