"""
How sure a rate is, and whether two rates differ.

Three short formulas of the textbooks on the standard library's normal distribution; SciPy or statsmodels would add
40 MB and more to every installation for them. The tests compare them with published values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

CONFIDENCE: Final = 0.95
_NORMAL: Final = NormalDist()
_Z: Final = _NORMAL.inv_cdf(0.5 + CONFIDENCE / 2)
# With at most so many expected in any cell the normal distribution is no good likeness: chances are counted exactly.
FEW: Final = 5


@dataclass(frozen=True, slots=True)
class Rate:
    """So many of so many."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share; 0 of nobody."""
        return self.hits / self.of if self.of else 0.0


def interval(rate: Rate) -> tuple[float, float]:
    """Give the Wilson score interval, in which the true rate lies with CONFIDENCE; zeros where there is nobody."""
    if not rate.of:
        return 0.0, 0.0
    share, n, square = rate.value, rate.of, _Z * _Z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = _Z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def p_value(one: Rate, other: Rate) -> float:
    """
    Give the chance of a difference as large as this, or larger, between two equal rates; 1 where there is nobody.

    By the two-sided two-proportion z test with a pooled rate; by Fisher's exact test where few are expected.
    """
    hits, everybody = one.hits + other.hits, one.of + other.of
    if not one.of or not other.of or hits in {0, everybody}:
        return 1.0
    if min(one.of, other.of) * min(hits, everybody - hits) <= FEW * everybody:
        return _fisher(one, other)
    pooled = hits / everybody
    spread = math.sqrt(pooled * (1 - pooled) * (1 / one.of + 1 / other.of))
    return 2 * _NORMAL.cdf(-abs(one.value - other.value) / spread)


# The sum of the chances of all tables with these margins that are no likelier than this one.
def _fisher(one: Rate, other: Rate) -> float:
    hits = one.hits + other.hits
    least, most = max(0, hits - other.of), min(hits, one.of)
    chances = [_log_ways(one.of, k) + _log_ways(other.of, hits - k) for k in range(least, most + 1)]
    seen = chances[one.hits - least]
    everything = _log_ways(one.of + other.of, hits)
    return min(1.0, sum(math.exp(each - everything) for each in chances if each <= seen + 1e-7))


def _log_ways(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
