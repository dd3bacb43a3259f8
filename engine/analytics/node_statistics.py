"""What happened at nodes, and how far those who entered on a day came: nodes, funnels, conversions, A/B results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from engine.analytics import conversions, counting, durations, origins
from engine.analytics.counting import Counts, Thing, short
from engine.analytics.origins import Origin
from engine.event_store.events import INSTANCE, Event
from engine.execution import holdout
from engine.models.statistics import CohortStatistic, NodeStatistic
from engine.projections.projection import Projection

SPLIT: Final = "ab_split"


class NodeStatistics(Projection):
    """
    Counts what happens at nodes by the day of the event, and how far runs come by the day of their entry.

    One projection for both, though they are two tables: they come from the same events, which are by far the most of
    the log, and shares of a cohort are never above one, because both of their parts are of the same place.
    """

    name = "node_statistics"
    types = ("flow_started", "node_completed", "node_failed", "goal_reached", "exited")
    aggregate_types = (INSTANCE,)
    beside = True
    batch = 2_000

    def project(self, events: Sequence[Event]) -> None:
        """Count."""
        origin_of, nodes, cohorts = origins.of(events), Counts(), Counts()
        for event in events:
            if tell := _TELLERS.get(event.type):
                tell(_Fact(event, origin_of[event.aggregate_id], nodes, cohorts))
        for event, goal in conversions.first_goals(events):
            fact = _Fact(event, origin_of[event.aggregate_id], nodes, cohorts)
            for node, variant in (("", ""), *goal.variants):
                fact.in_cohort("converted", node, variant, goal.name)
        counting.add(NodeStatistic, self.build, nodes)
        counting.add(CohortStatistic, self.build, cohorts)

    def clear(self) -> None:
        """Delete the rows of this build."""
        counting.clear(NodeStatistic, self.build)
        counting.clear(CohortStatistic, self.build)


@dataclass(frozen=True, slots=True)
class _Fact:
    event: Event
    origin: Origin
    nodes: Counts
    cohorts: Counts

    def at_node(self, kind: str, node: str, key: str = "") -> None:
        event, origin = self.event, self.origin
        version = origin.version_at(event.sequence)
        self.nodes[Thing(origin.flow_id, event.at.date(), version, event.tenant_id, kind, node, short(key))] += 1

    def in_cohort(self, kind: str, node: str = "", key: str = "", goal: str = "") -> None:
        origin = self.origin
        entry = (origin.flow_id, origin.day, origin.version, self.event.tenant_id)
        self.cohorts[Thing(*entry, kind, node, short(key), short(goal))] += 1


def _started(fact: _Fact) -> None:
    node = fact.event.data["entry_node"]
    fact.in_cohort("entered")
    fact.in_cohort("reached", node)
    fact.at_node("entered", node)


# `next` has only the nodes that a token arrived at; one that was absorbed by a join is not among them.
def _completed(fact: _Fact) -> None:
    data = fact.event.data
    node, branch = data["node"], data["branch"]
    fact.at_node("completed", node)
    took = fact.event.at - datetime.fromisoformat(data["started_at"])
    fact.at_node("took", node, str(durations.bucket_of(took.total_seconds())))
    if branch:
        fact.at_node("branch", node, branch)
        if data["type"] == SPLIT:
            fact.in_cohort("variant", node, branch)
    for following in data["next"]:
        fact.at_node("entered", following)
        fact.in_cohort("reached", following)


def _failed(fact: _Fact) -> None:
    fact.at_node("failed", fact.event.data["node"])


def _exited(fact: _Fact) -> None:
    if fact.event.data["reason"] == holdout.REASON:
        fact.in_cohort("variant", *conversions.HOLDOUT)


_TELLERS: Final = {
    "flow_started": _started,
    "node_completed": _completed,
    "node_failed": _failed,
    "exited": _exited,
}
