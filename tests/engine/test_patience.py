"""How attempts follow each other, wherever something is tried again."""

from __future__ import annotations

from typing import Any

import pytest

from engine import Retry, patience
from engine.errors import InvalidRetry


@pytest.mark.parametrize(
    ("wrong", "attr"),
    [
        ({"attempts": 0}, "retry.attempts"),
        ({"attempts": True}, "retry.attempts"),
        ({"attempts": 1.5}, "retry.attempts"),
        ({"backoff_s": -1}, "retry.backoff_s"),
        ({"backoff_s": float("nan")}, "retry.backoff_s"),
        ({"max_interval_s": "1"}, "retry.max_interval_s"),
        ({"max_interval_s": float("inf")}, "retry.max_interval_s"),
        ({"non_retryable": "ValueError"}, "retry.non_retryable"),
        ({"non_retryable": (3,)}, "retry.non_retryable"),
        ({"non_retryable": 3}, "retry.non_retryable"),
    ],
)
def test_what_means_nothing_is_refused_and_named(wrong: dict[str, Any], attr: str) -> None:
    with pytest.raises(InvalidRetry) as refusal:
        Retry(**wrong)

    assert refusal.value.attr == attr


def test_the_last_attempt_is_followed_by_no_other() -> None:
    retry = Retry(attempts=2)

    assert retry.is_worth_it(1, ValueError())
    assert not retry.is_worth_it(2, ValueError())


@pytest.mark.parametrize("final", [ValueError, "ValueError"], ids=["class", "name"])
def test_an_error_that_is_final_stands_for_those_below_it(final: Any) -> None:
    retry = Retry(attempts=9, non_retryable=(final,))

    assert not retry.is_worth_it(1, UnicodeError())
    assert retry.is_worth_it(1, LookupError())


def test_pauses_double_up_to_the_longest() -> None:
    retry = Retry(backoff_s=1, max_interval_s=60)

    pauses = [retry.pause_after(attempt) for attempt in (1, 2, 3, 7, 8)]

    assert pauses == [pytest.approx(middle, rel=0.26) for middle in (1, 2, 4, 60, 60)]


def test_the_thousandth_pause_is_no_longer_than_the_longest() -> None:
    assert patience.pause(5000, 0.1, 10.0) <= 12.5


def test_a_retry_is_kept_as_json() -> None:
    retry = Retry(attempts=4, non_retryable=(ValueError, "Refused"))

    assert retry.as_json() == {
        "attempts": 4,
        "backoff_s": 0.5,
        "max_interval_s": 30.0,
        "non_retryable": ["ValueError", "Refused"],
    }
    assert Retry(**retry.as_json()) == Retry(attempts=4, non_retryable=["ValueError", "Refused"])
