"""Count a conversion, with what it was worth."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from engine.nodes import money, registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Category, Node, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Completed, Outcome
from engine.nodes.references import Reference

MAX_VARIANT = 64
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
        ignored: list[str] = []
        facts = {
            "value": _read(step, config.revenue, money.amount, ignored),
            "currency": _read(step, config.currency, money.currency, ignored),
            "variant": _read(step, config.variant, _text, ignored),
            "metadata": step.resolve(config.metadata) or None,
        }
        result = {
            "status": "recorded",
            "event_name": config.event_name,
            "revenue": facts["value"],
            "currency": facts["currency"],
            **({"ignored": ignored} if ignored else {}),
        }
        known = {name: value for name, value in facts.items() if value is not None}
        return Completed(result, goal=config.event_name, facts=known)


def _read(step: StepContext, raw: Any, parse: Callable[[Any], str], ignored: list[str]) -> str | None:
    value = step.resolve(raw)
    if value is None:
        return None
    try:
        return parse(value)
    except money.NoMoney as problem:
        ignored.append(str(problem))
        return None


def _text(value: Any) -> str:
    if isinstance(value, str) and len(value) <= MAX_VARIANT and "\0" not in value:
        return value
    raise money.NoMoney(f"{str(value)[:80]!r} is no variant; write a text of at most {MAX_VARIANT} characters")
