"""Ask whether the participant wants to hear of something on a channel."""

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from engine.nodes import base, registry
from engine.nodes.base import Category, Need, Node, NodeConfig, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Branched, Outcome
from engine.nodes.save_as import SaveAs
from engine.ports import Preferences

NOTHING_SAID = Preferences()


@registry.node
class PreferenceGate(Node):
    """Preferences first, then consent, then what silence means for the topic."""

    type = "preference_gate"
    category = Category.CONDITION
    title = "Preference gate"
    description = "Takes the branch true where the participant may be written to about the topic on this channel."
    branches = ("true", "false")
    runs_as = RunsAs.INLINE
    needs = (Need.PREFERENCES,)
    result_schema: ClassVar[JSON] = {
        "type": "object",
        "properties": {"matched": {"type": "boolean"}, "reason": {"enum": [None, "unsubscribed", "no_consent"]}},
    }

    class Config(NodeConfig):
        """Where, and about what."""

        channel: Literal["email", "sms", "push", "whatsapp", "in_app"] = Field(description="The channel.")
        topic: str | None = Field(
            None, min_length=1, max_length=64, description="The topic; without it, only the channel is asked for."
        )
        save_as: SaveAs = None

    def references_of(self, config: Config) -> Iterable[base.Reference]:
        """The topic."""
        return () if config.topic is None else (base.Reference("topic", config.topic, "topic"),)

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Take the branch, and keep the reason."""
        reason = (step.preferences or NOTHING_SAID).refusal(config.channel, config.topic or "")
        return Branched("true" if reason is None else "false", {"matched": reason is None, "reason": reason})
