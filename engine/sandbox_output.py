"""What came out of a sandbox, as JSON: of a size and a depth that are known before anybody writes it down."""

from __future__ import annotations

import math
from datetime import date
from typing import Any, Final

MAX_VALUES: Final = 10_000
MAX_TEXT: Final = 65_536
MAX_DEPTH: Final = 32
# The integers that the log can keep.
GREATEST: Final = 2**63 - 1


class NotPlain(ValueError):
    """The value is no JSON, or too much of it."""


def as_plain(value: Any) -> Any:
    """
    Give the value as JSON: tuples as lists, moments as text. Raises NotPlain.

    Counted is what would be written, not what is there: a list that holds the same list twice, forty times over, is
    small in memory and endless on paper.
    """
    return _Copy().of(value, 0)


class _Copy:
    def __init__(self) -> None:
        self._values, self._text = MAX_VALUES, MAX_TEXT

    def of(self, value: Any, depth: int) -> Any:
        self._values -= 1
        if self._values < 0:
            raise NotPlain(f"The output has more than {MAX_VALUES} values.")
        if depth > MAX_DEPTH:
            raise NotPlain(f"The output is nested more than {MAX_DEPTH} deep.")
        match value:
            case list() | tuple():
                return [self.of(each, depth + 1) for each in value]
            case dict():
                return {self._name(name): self.of(each, depth + 1) for name, each in value.items()}
            case str():
                return self._kept(value)
            case _:
                return _single(value)

    def _name(self, name: Any) -> str:
        if not isinstance(name, str):
            raise NotPlain(f"The output has a key that is no text: {str(name)[:80]}.")
        return self._kept(name)

    def _kept(self, text: str) -> str:
        self._text -= len(text)
        if self._text < 0:
            raise NotPlain(f"The output has more than {MAX_TEXT:,} characters.")
        # PostgreSQL stores no NUL in text or JSON.
        return text.replace("\0", "\ufffd")


def _single(value: Any) -> Any:
    match value:
        case None | bool():
            return value
        case int() if abs(value) > GREATEST:
            raise NotPlain("The output holds an integer of more than 63 bits; give it as text.")
        case float() if not math.isfinite(value):
            raise NotPlain(f"The output holds {value}, which is no JSON.")
        case int() | float():
            return value
        case date():
            return value.isoformat()
    raise NotPlain(f"The output holds a {type(value).__name__}, which is no JSON.")
