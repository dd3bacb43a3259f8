"""Several runs as one figure."""

import statistics
from collections.abc import Sequence
from typing import Any

JSON = dict[str, Any]


def of_runs(runs: Sequence[float], digits: int = 1) -> JSON:
    """Median, least, greatest, and each run."""
    rounded = [round(value, digits) for value in runs]
    return {"median": round(statistics.median(runs), digits), "min": min(rounded), "max": max(rounded), "runs": rounded}


def percentile(samples: Sequence[float], percent: float) -> float:
    """The sample below which so many percent lie (nearest rank)."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def merge(costs: Sequence[JSON]) -> JSON:
    """The median of each cost over the runs."""
    return {name: round(statistics.median(cost[name] for cost in costs), 4) for name in costs[0]}
