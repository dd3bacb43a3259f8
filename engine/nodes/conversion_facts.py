"""What a run knows of a conversion: values that references lead to, where they make sense."""

from collections.abc import Callable
from typing import Any

from engine.nodes import money
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON

MAX_VARIANT = 64


def read(config: Any, step: StepContext) -> tuple[JSON, list[str]]:
    """Give what is known, and a sentence for each value that is there and makes no sense."""
    ignored: list[str] = []
    facts = {
        "value": _read(step.resolve(config.revenue), money.amount, ignored),
        "currency": _read(step.resolve(config.currency), money.currency, ignored),
        "variant": _read(step.resolve(config.variant), _variant, ignored),
        "metadata": step.resolve(config.metadata) or None,
    }
    return {name: value for name, value in facts.items() if value is not None}, ignored


def _read(value: Any, parse: Callable[[Any], str], ignored: list[str]) -> str | None:
    if value is None:
        return None
    try:
        return parse(value)
    except ValueError as problem:
        ignored.append(str(problem))
        return None


def _variant(value: Any) -> str:
    if isinstance(value, str) and len(value) <= MAX_VARIANT and "\0" not in value:
        return value
    raise ValueError(f"{str(value)[:80]!r} is no variant; write a text of at most {MAX_VARIANT} characters")
