"""A flow in figures: who came, where they are, how it ended."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Count

from engine.analytics import counts, holdout, proportions
from engine.analytics.conversions import ANY
from engine.analytics.period import Period
from engine.analytics.proportions import Rate
from engine.models.statistics import CohortStatistic, FlowStatistic
from flows.models import Flow, FlowInstance
from flows.models.instance import LIVE, InstanceStatus

JSON = dict[str, Any]

KINDS = ("entered", "completed", "exited", "failed", "compensated")


def summary(flow: Flow, period: Period, version: int | None = None) -> JSON:
    """Give the totals of a period, by version and by day; `active` and `waiting` are those of now."""
    by_kind, by_day, by_version = Counter[str](), Counter[Any](), Counter[Any]()
    for day, number, kind, n in counts.totals(FlowStatistic, flow, period, version, "day", "version", "kind"):
        by_kind[kind] += n
        by_day[day, kind] += n
        by_version[number, kind] += n
    now = _now(flow, version)
    converted = conversion(flow, period, version)
    for (number, kind), n in now.items():
        by_kind[kind] += n
        by_version[number, kind] += n
    return {
        **{kind: by_kind[kind] for kind in (*KINDS, "active", "waiting")},
        "by_version": [
            {"version": number, **{kind: by_version[number, kind] for kind in (*KINDS, "active", "waiting")}}
            for number in sorted({number for number, _ in by_version})
        ],
        "by_day": [{"day": day, **{kind: by_day[day, kind] for kind in KINDS}} for day in period],
        "conversion": converted,
        "holdout": holdout.compare(flow, period, version, converted["entered"], converted["converted"]),
    }


def conversion(flow: Flow, period: Period, version: int | None = None) -> JSON:
    """Tell how many of those who entered in a period have reached a goal since, any and each."""
    found = Counter[tuple[str, str]]()
    for kind, goal, n in counts.totals(CohortStatistic, flow, period, version, "kind", "goal", node_id=""):
        found[kind, goal] += n
    entered = found["entered", ""]
    goals = sorted(goal for kind, goal in found if kind == "converted" and goal != ANY)
    return {
        **_converted(found["converted", ANY], entered),
        "entered": entered,
        "goals": [{"goal": goal, **_converted(found["converted", goal], entered)} for goal in goals],
    }


def _converted(n: int, entered: int) -> JSON:
    rate = Rate(n, entered)
    return {"converted": n, "rate": round(rate.value, 6), "interval": _rounded(proportions.interval(rate))}


def _rounded(interval: tuple[float, float]) -> list[float]:
    return [round(each, 6) for each in interval]


def _now(flow: Flow, version: int | None) -> Counter[tuple[int, str]]:
    numbers = dict(flow.versions.values_list("pk", "number"))
    rows = FlowInstance.objects.filter(tenant_id=flow.tenant_id, flow=flow, status__in=LIVE)
    if version is not None:
        rows = rows.filter(version__in=[pk for pk, number in numbers.items() if number == version])
    found = Counter[tuple[int, str]]()
    # Of columns that are all in one index, so that no row is read.
    for pk, status, n in rows.order_by().values_list("version_id", "status").annotate(n=Count("pk")):
        found[numbers[pk], "active"] += n
        if status == InstanceStatus.WAITING:
            found[numbers[pk], "waiting"] += n
    return found
