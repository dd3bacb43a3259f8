"""Which flow and version the events of runs belong to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from engine.connections import execute
from engine.event_store.events import Event

# The rows of runs that never changed their version; they are where every other run ends up, too, but say nothing of
# what was before.
FROM_ROWS = """
    SELECT i.id, i.flow_id, i.entered_at, v.number FROM flow_instances i
      JOIN flow_versions v ON v.id = i.version_id
     WHERE i.id = ANY(%s::uuid[]) AND i.migrated_at IS NULL
"""
# The starts and migrations of runs, in order.
FROM_LOG = """
    SELECT aggregate_id, data->>'flow_id', recorded_at, sequence,
           coalesce(data->>'to_version', data->>'version')::int FROM stored_events
     WHERE aggregate_id = ANY(%s::uuid[]) AND type IN ('flow_started', 'migrated')
     ORDER BY aggregate_id, sequence
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """
    The flow of a run, and the day and version of its entry.

    `versions` are those it had, each with the sequence of the event from which on.
    """

    flow_id: str
    day: date
    versions: Sequence[tuple[int, int]]

    @property
    def version(self) -> int:
        """The version that it entered."""
        return self.versions[0][1]

    def version_at(self, sequence: int) -> int:
        """Give the version that an event of the run belongs to."""
        return next(version for since, version in reversed(self.versions) if since <= sequence)


def of(events: Iterable[Event]) -> dict[str, Origin]:
    """Give the origin of each run that the events tell of, by its id; from the log where the row does not say it."""
    found, others = dict[str, Origin](), set[str]()
    for event in events:
        if event.type == "flow_started":
            start = Origin(event.data["flow_id"], event.at.date(), ((event.sequence, event.data["version"]),))
            found[event.aggregate_id] = start
        else:
            others.add(event.aggregate_id)
    if not others:
        return found
    for run, flow_id, entered_at, version in execute(FROM_ROWS, [list(others)]):
        found[run] = Origin(flow_id, entered_at.date(), ((0, version),))
        others.discard(run)
    return found | _from_log(others) if others else found


def _from_log(runs: set[str]) -> dict[str, Origin]:
    found: dict[str, Origin] = {}
    for run, flow_id, at, sequence, version in execute(FROM_LOG, [list(runs)]):
        known = found.get(run) or Origin(flow_id, at.date(), ())
        found[run] = Origin(known.flow_id, known.day, (*known.versions, (sequence, version)))
    return found
