"""What happened to the runs of each version of a flow, per day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.analytics import counting, origins
from engine.analytics.counting import Counts, Thing
from engine.event_store.events import INSTANCE, Event
from engine.models.statistics import FlowStatistic
from engine.projections.projection import Projection

# The events that are counted, and as what.
KINDS: Final = {
    "flow_started": "entered",
    "completed": "completed",
    "exited": "exited",
    "failed": "failed",
    "retried": "retried",
    "compensation_completed": "compensated",
    "compensation_failed": "compensation_failed",
    "goal_reached": "goal_reached",
}


class FlowStatistics(Projection):
    """Counts the events of KINDS by version and day, each in the version that its run had then."""

    name = "flow_statistics"
    types = tuple(KINDS)
    aggregate_types = (INSTANCE,)
    beside = True
    batch = 2_000

    def project(self, events: Sequence[Event]) -> None:
        """Count."""
        origin_of, counts = origins.of(events), Counts()
        for event in events:
            origin = origin_of[event.aggregate_id]
            version = origin.version_at(event.sequence)
            counts[Thing(origin.flow_id, event.at.date(), version, event.tenant_id, KINDS[event.type])] += 1
        counting.add(FlowStatistic, self.build, counts)

    def clear(self) -> None:
        """Delete the rows of this build."""
        counting.clear(FlowStatistic, self.build)
