"""How often something is tried, and how patiently."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from engine.errors import InvalidRetry

JSON = dict[str, Any]

# From here on any pause has grown past its longest.
MOST_DOUBLINGS: Final = 60


@dataclass(frozen=True, slots=True)
class Retry:
    """
    How attempts follow each other: of a saga's step, of an event's handler, of a scheduled task.

    `attempts` counts the first one too. The pause of `backoff_s` seconds doubles up to `max_interval_s`, with jitter.
    After an error of `non_retryable` (classes or their names, which stand for their subclasses too) there is no other
    attempt. Raises InvalidRetry, which names the field, for what means nothing.
    """

    attempts: int = 3
    backoff_s: float = 0.5
    max_interval_s: float = 30.0
    non_retryable: Sequence[str | type[BaseException]] = ()

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        if not isinstance(self.attempts, int) or isinstance(self.attempts, bool) or self.attempts < 1:
            raise InvalidRetry("attempts is a whole number from 1: the first one counts.", attr="retry.attempts")
        for name in ("backoff_s", "max_interval_s"):
            if not is_seconds(getattr(self, name)):
                raise InvalidRetry(f"{name} is a number of seconds from 0.", attr=f"retry.{name}")
        if isinstance(self.non_retryable, str) or not _are_errors(self.non_retryable):
            raise InvalidRetry("non_retryable lists classes of errors, or their names.", attr="retry.non_retryable")

    @classmethod
    def check(cls, value: Any) -> Self:
        """Give the value if it is a Retry; raise InvalidRetry if it is none."""
        if not isinstance(value, cls):
            raise InvalidRetry(f"A retry is a Retry, not {type(value).__name__}.", attr="retry")
        return value

    @property
    def final_names(self) -> list[str]:
        """The names of the errors after which there is no other attempt."""
        return [each if isinstance(each, str) else each.__name__ for each in self.non_retryable]

    def as_json(self) -> JSON:
        """Give it as plans and activities keep it."""
        return {
            "attempts": self.attempts,
            "backoff_s": self.backoff_s,
            "max_interval_s": self.max_interval_s,
            "non_retryable": self.final_names,
        }

    def is_worth_it(self, attempt: int, error: BaseException) -> bool:
        """Whether the failed attempt of this number is to be followed by another."""
        return attempt < self.attempts and not is_final(error, self.final_names)

    def pause_after(self, attempt: int) -> float:
        """Give the seconds between the attempt of this number and the next."""
        return pause(attempt, self.backoff_s, self.max_interval_s)


def pause(attempt: int, backoff_s: float, max_interval_s: float) -> float:
    """Give the seconds to wait after the attempt of this number: doubled each time up to the longest, with jitter."""
    grown = min(backoff_s * 2.0 ** min(attempt - 1, MOST_DOUBLINGS), max_interval_s)
    return float(grown * random.uniform(0.75, 1.25))  # noqa: S311 - jitter is no secret


def is_final(error: BaseException, names: Iterable[str]) -> bool:
    """Tell whether an error, or a class above its own, has one of the names."""
    return not {kind.__name__ for kind in type(error).__mro__}.isdisjoint(names)


def _are_errors(listed: Any) -> bool:
    return isinstance(listed, Iterable) and all(isinstance(each, str | type) for each in listed)


def is_seconds(value: Any) -> bool:
    """Tell whether a value is a finite number of seconds, 0 or more."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
