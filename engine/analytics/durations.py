"""
How long something took, in buckets whose counts can be added up over days, versions and batches.

Each bucket is 5 % wider than the one before, so that a quantile is off by at most 2.5 %, from a millisecond to years.
Exact quantiles would need every step of the time asked for, sorted, for each look: with a million runs a month that is
seconds; the buckets are a few hundred rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

SHORTEST_S: Final = 0.001
GROWTH: Final = 1.05
_LOG_GROWTH: Final = math.log(GROWTH)


def bucket_of(seconds: float) -> int:
    """Give the number of the bucket; 0 for whatever took a millisecond or less."""
    return 0 if seconds <= SHORTEST_S else math.ceil(math.log(seconds / SHORTEST_S) / _LOG_GROWTH)


def seconds_of(bucket: int) -> float:
    """Give the middle of a bucket; nothing for the first."""
    return SHORTEST_S * GROWTH ** (bucket - 0.5) if bucket else 0.0


def quantile(counts: Mapping[int, int], share: float) -> float:
    """Give how long the slowest of the fastest `share` took (nearest rank); 0 where nothing was counted."""
    rank, passed = math.ceil(sum(counts.values()) * share), 0
    for bucket in sorted(counts):
        passed += counts[bucket]
        if passed >= rank:
            return round(seconds_of(bucket), 4)
    return 0.0
