"""A/B results: how many went through each variant, how many reached the goal, and whether that is more than chance."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from engine.analytics import counts, proportions
from engine.analytics.conversions import ANY
from engine.analytics.period import Period
from engine.analytics.proportions import Rate
from engine.models.statistics import CohortStatistic
from engine.nodes import registry
from engine.nodes.errors import InvalidConfig
from flows.graph.model import GraphNode
from flows.models import Flow

JSON = dict[str, Any]

# A variant wins when chance alone would bring its lead in fewer than one of so many experiments.
LEVEL: Final = 0.05


def results(flow: Flow, node: GraphNode, period: Period, version: int | None = None) -> list[JSON]:
    """
    Compare the variants of a node by its `metric`, a goal, or by any goal where it names none.

    Counted are the runs that entered in the period, and the conversions after the split. Each variant is compared with
    the best of the others; with more than two, the level is shared between the comparisons (Bonferroni).
    """
    names, goal = _asked(node)
    found = Counter[tuple[str, str]]()
    by = ("kind", "key", "goal")
    for kind, variant, reached, n in counts.totals(CohortStatistic, flow, period, version, *by, node_id=node.id):
        if kind == "variant" or (kind == "converted" and reached == goal):
            found[kind, variant] += n
    names += sorted({name for _, name in found}.difference(names))
    rates = {name: Rate(found["converted", name], found["variant", name]) for name in names}
    return [_result(name, rates) for name in rates]


def _asked(node: GraphNode) -> tuple[list[str], str]:
    try:
        config = registry.parse_config(node.type, node.config)
    except InvalidConfig:
        return [], ANY
    return [variant.key for variant in getattr(config, "variants", ())], getattr(config, "metric", None) or ANY


def _result(name: str, rates: dict[str, Rate]) -> JSON:
    own = rates[name]
    others = [rate for other, rate in rates.items() if other != name]
    best = max(others, key=lambda rate: rate.value, default=Rate(0, 0))
    p_value = proportions.p_value(own, best)
    return {
        "variant": name,
        "participants": own.of,
        "conversions": own.hits,
        "rate": round(own.value, 6),
        "interval": [round(each, 6) for each in proportions.interval(own)],
        "p_value": round(p_value, 6),
        "winner": own.value > best.value and p_value < LEVEL / max(1, len(others)),
    }
