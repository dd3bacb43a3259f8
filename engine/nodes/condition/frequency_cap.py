"""Ask whether the participant may get another message, and keep a place for it."""

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from engine.message_caps import Cap
from engine.nodes import registry
from engine.nodes.base import Category, Need, Node, NodeConfig, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.duration import Duration
from engine.nodes.outcomes import JSON, Branched, Outcome
from engine.nodes.save_as import SaveAs


@registry.node
class FrequencyCap(Node):
    """Counted is what is queued, sent, and let through by other caps."""

    type = "frequency_cap"
    category = Category.CONDITION
    title = "Frequency cap"
    description = (
        "Takes the branch allowed while the participant has got fewer messages than this in the time, and capped else."
        " Whoever is allowed has a place for the run's next message, for up to a day."
    )
    branches = ("allowed", "capped")
    runs_as = RunsAs.INLINE
    needs = (Need.CAPS,)
    result_schema: ClassVar[JSON] = {
        "type": "object",
        "properties": {
            "matched": {"type": "boolean", "description": "Whether another message is allowed."},
            "count": {"type": "integer", "description": "How many messages there were in the time."},
        },
    }

    class Config(NodeConfig):
        """How many messages, of what kind, in how long a time."""

        max_messages: int = Field(1, ge=1, le=10_000, description="How many messages are allowed.")
        time_window: Duration = Field(timedelta(days=1), description="In how long a time.")
        channel: Literal["all", "email", "sms", "push", "whatsapp", "in_app"] = Field(
            "all", description="The channel that is counted, or all."
        )
        scope: Literal["flow", "workspace"] = Field(
            "workspace", description="Count this flow's messages, or everyone's."
        )
        save_as: SaveAs = None

    def cap_of(self, config: Config) -> Cap:
        """The cap."""
        return Cap(config.max_messages, config.time_window, config.channel, config.scope)

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Count, and reserve a slot where there is room."""
        if step.caps is None:
            return Branched("allowed", {"matched": True, "count": 0})
        cap = self.cap_of(config)
        count = step.caps.count(cap, step.node_id)
        if count >= cap.max_messages:
            return Branched("capped", {"matched": False, "count": count})
        reservation = step.caps.reserve(cap, step.node_id)
        return Branched("allowed", {"matched": True, "count": count}, effects=(reservation,))
