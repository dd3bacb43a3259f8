"""Count a conversion, with what it was worth."""

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from engine.nodes import conversion_facts, money, registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Category, Node, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Completed, Outcome
from engine.nodes.references import Reference

Amount = Annotated[str | int | float, AfterValidator(money.amount)]
CurrencyCode = Annotated[str, AfterValidator(money.currency)]


@registry.node
class TrackConversion(Node):
    """A goal, and its value."""

    type = "track_conversion"
    category = Category.ACTION
    title = "Track conversion"
    description = "Counts a conversion, once per run and name, and fills in what it was worth."
    runs_as = RunsAs.INLINE
    result_schema: ClassVar[JSON] = {
        "type": "object",
        "properties": {
            "status": {"enum": ["recorded"]},
            "event_name": {"type": "string"},
            "revenue": {"type": ["string", "null"], "description": "A decimal."},
            "currency": {"type": ["string", "null"]},
            "ignored": {
                "type": "array",
                "items": {"type": "string"},
                "description": "What was there and made no sense.",
            },
        },
    }

    class Config(ActionConfig):
        """What is counted."""

        event_name: str = Field(
            min_length=1, max_length=200, description="The name of the goal under which the conversion is counted."
        )
        revenue: Amount | Reference | None = Field(
            None, description='What it was worth: a number, or text ("12.50") where every digit counts.'
        )
        currency: CurrencyCode | Reference | None = Field(None, description="A code of ISO 4217, such as EUR.")
        variant: str | Reference | None = Field(
            None, description="What was tried on the participant, where no ab_split says so."
        )
        metadata: dict[str, Any] = Field(
            {}, max_length=50, description="Whatever else is to be kept: JSON or references."
        )

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Count it; what a reference does not find has no value, and what makes no sense is named in the result."""
        facts, ignored = conversion_facts.read(config, step)
        result = {
            "status": "recorded",
            "event_name": config.event_name,
            "revenue": facts.get("value"),
            "currency": facts.get("currency"),
            **({"ignored": ignored} if ignored else {}),
        }
        return Completed(result, goal=config.event_name, facts=facts)
