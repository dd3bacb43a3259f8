"""How often a handler is tried, and how patiently."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from engine.errors import InvalidSubscription

JSON = dict[str, Any]


class Patience(Protocol):
    """What a subscription's `retry` has: a `Retry` of the bus, or of a saga."""

    @property
    def attempts(self) -> int:
        """How often it is tried, the first time included."""

    @property
    def backoff_s(self) -> float:
        """The pause before the second attempt; each further one doubles it."""

    @property
    def max_interval_s(self) -> float:
        """The longest pause."""

    @property
    def non_retryable(self) -> Sequence[str | type[BaseException]]:
        """Errors, or their names, after which another attempt is pointless."""


@dataclass(frozen=True, slots=True)
class Retry:
    """
    How attempts follow each other; the pause doubles from `backoff_s` up to `max_interval_s`.

    `timeout_s` is how long one attempt may take; `non_retryable` has classes of errors, or their names.
    """

    attempts: int = 10
    backoff_s: float = 1.0
    max_interval_s: float = 900.0
    non_retryable: Sequence[str | type[BaseException]] = ()
    timeout_s: float = 60.0


# Ten attempts in about nine minutes, before an operator is asked; a closure's process may end sooner than that.
DURABLE: Final = Retry()
LOCAL: Final = Retry(attempts=5, backoff_s=0.1, max_interval_s=30.0)


def check(retry: Patience) -> None:
    """Raise InvalidSubscription for numbers that mean nothing."""
    attempts = getattr(retry, "attempts", None)
    if not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 1:
        raise InvalidSubscription("A handler is tried at least once: attempts is a whole number from 1.", attr="retry")
    for name in ("backoff_s", "max_interval_s"):
        value = getattr(retry, name, None)
        if not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise InvalidSubscription(f"{name} is a number of seconds from 0.", attr="retry")
    if not 0 < timeout_of(retry) < float("inf"):
        raise InvalidSubscription("timeout_s is a number of seconds above 0.", attr="retry")


def policy_of(retry: Patience) -> JSON:
    """Give it as an activity keeps it: what stays failing is parked, the dead letter."""
    return {
        "attempts": retry.attempts,
        "backoff_s": retry.backoff_s,
        "max_interval_s": retry.max_interval_s,
        "non_retryable": sorted(_names(retry)),
        "timeout_s": timeout_of(retry),
        "on_unknown": "retry",
        "explicit": False,
    }


def timeout_of(retry: Patience) -> float:
    """Give the seconds that one attempt may take."""
    return float(getattr(retry, "timeout_s", DURABLE.timeout_s))


def is_worth_it(retry: Patience, attempt: int, error: BaseException) -> bool:
    """Whether a failed attempt is to be followed by another."""
    return attempt < retry.attempts and type(error).__name__ not in _names(retry)


def pause_after(retry: Patience, attempt: int) -> float:
    """Give the seconds before the next attempt, with jitter."""
    grown = min(retry.backoff_s * 2.0 ** (attempt - 1), retry.max_interval_s)
    return float(grown * random.uniform(0.75, 1.25))  # noqa: S311 - jitter is no secret


def _names(retry: Patience) -> set[str]:
    return {each if isinstance(each, str) else each.__name__ for each in retry.non_retryable}
