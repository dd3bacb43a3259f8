"""
How sure a rate is, and whether two rates differ: SciPy's tests, chosen by how many are expected.

SciPy takes the better part of a second to import, and most processes never compare anything: it is loaded by whoever
asks first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONFIDENCE: Final = 0.95
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
    from scipy.stats import binomtest  # noqa: PLC0415  # as above

    found = binomtest(rate.hits, rate.of).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def p_value(one: Rate, other: Rate) -> float:
    """
    Give the chance of a difference as large as this, or larger, between two equal rates; 1 where there is nobody.

    By the two-sided two-proportion z test with a pooled rate, which is the chi-squared test of their table; by Fisher's
    exact test where few are expected.
    """
    hits, everybody = one.hits + other.hits, one.of + other.of
    if not one.of or not other.of or hits in {0, everybody}:
        return 1.0
    from scipy.stats import chi2_contingency, fisher_exact  # noqa: PLC0415  # as above

    table = [[each.hits, each.of - each.hits] for each in (one, other)]
    if min(one.of, other.of) * min(hits, everybody - hits) <= FEW * everybody:
        return float(fisher_exact(table).pvalue)
    return float(chi2_contingency(table, correction=False).pvalue)
