"""Whether a flow does any good: those who went through it against those who were kept out of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from engine.analytics import counts, proportions
from engine.analytics.conversions import ANY, HOLDOUT
from engine.analytics.period import Period
from engine.analytics.proportions import Rate
from engine.models.statistics import CohortStatistic
from flows.models import Flow

JSON = dict[str, Any]


def compare(flow: Flow, period: Period, version: int | None, entered: int, converted: int) -> JSON | None:
    """
    Compare the conversions, of any goal, of those who were kept out and of all others; None where nobody was.

    `lift` is by how much of the rate of those kept out the others' is higher; None where none of those converted.
    """
    found = Counter[str]()
    for kind, goal, n in counts.totals(CohortStatistic, flow, period, version, "kind", "goal", node_id=HOLDOUT[0]):
        if kind == "variant" or goal == ANY:
            found[kind] += n
    if not found["variant"]:
        return None
    kept_out = Rate(found["converted"], found["variant"])
    treated = Rate(max(0, converted - kept_out.hits), max(0, entered - kept_out.of))
    return {
        "kept_out": _rate(kept_out),
        "treated": _rate(treated),
        "lift": round(treated.value / kept_out.value - 1, 6) if kept_out.hits else None,
        "p_value": round(proportions.p_value(treated, kept_out), 6),
    }


def _rate(rate: Rate) -> JSON:
    interval = [round(each, 6) for each in proportions.interval(rate)]
    return {"participants": rate.of, "converted": rate.hits, "rate": round(rate.value, 6), "interval": interval}
