"""Rates, intervals and differences, against published values; durations in buckets."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from engine.analytics import durations
from engine.analytics.proportions import Rate, interval, p_value


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0000),
    ],
)
def test_the_interval_is_wilsons(hits: int, of: int, low: float, high: float) -> None:
    assert interval(Rate(hits, of)) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # By hand: pooled 0.55, spread 0.0222486, z = 2.15744.
        ((574, 1000), (526, 1000), 0.030971),
        ((100, 1000), (100, 1000), 1.0),
        # Fisher's tea: three of four cups right.
        ((3, 4), (1, 4), 0.485714),
        # Whales and sharks of SciPy's manual, and the men and women of Wikipedia's article on the exact test.
        ((8, 10), (1, 6), 0.034965),
        ((1, 12), (9, 12), 0.002759),
    ],
)
def test_the_difference_of_two_rates(one: tuple[int, int], other: tuple[int, int], expected: float) -> None:
    assert p_value(Rate(*one), Rate(*other)) == pytest.approx(expected, abs=2e-5)
    assert p_value(Rate(*other), Rate(*one)) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize(("one", "other"), [((0, 0), (5, 9)), ((0, 7), (0, 9)), ((7, 7), (9, 9)), ((0, 0), (0, 0))])
def test_where_nothing_can_be_told_the_value_is_one(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert p_value(Rate(*one), Rate(*other)) == 1.0


def test_many_participants_are_no_trouble() -> None:
    assert p_value(Rate(10_000_000, 50_000_000), Rate(10_000_000, 50_000_001)) == pytest.approx(1.0, abs=1e-3)
    assert p_value(Rate(3, 50_000_000), Rate(0, 50_000_000)) == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_quantiles_of_buckets_are_off_by_a_fortieth(share: float) -> None:
    chance = random.Random(3)
    exact = sorted(chance.lognormvariate(3, 4) for _ in range(5_000))
    counts = Counter(durations.bucket_of(each) for each in exact)

    wanted = exact[int(len(exact) * share) - 1]
    assert durations.quantile(counts, share) == pytest.approx(wanted, rel=0.026)


def test_buckets_have_ends() -> None:
    assert durations.quantile({}, 0.5) == 0.0
    assert durations.bucket_of(-5.0) == durations.bucket_of(0.0) == 0
    assert durations.seconds_of(0) == 0.0
    assert durations.seconds_of(durations.bucket_of(3.2e8)) == pytest.approx(3.2e8, rel=0.026)
