"""What a roll-back has to undo: read from the log, what was completed last first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from engine.connections import execute
from engine.nodes import registry
from engine.nodes.base import Node
from engine.nodes.errors import UnknownNodeType
from flows.graph import model
from flows.models import FlowVersion

JSON = dict[str, Any]

# What tells which effects a run has had, and in which version each of its nodes ran.
LOG = """
    SELECT aggregate_id, type, data FROM stored_events
     WHERE aggregate_id = ANY(%s)
       AND type IN ('flow_started', 'migrated', 'retried', 'node_started', 'node_completed', 'node_failed',
                    'activity_completed')
     ORDER BY aggregate_id, sequence
"""

# Side effects that were begun and of which nobody knows whether they happened. One that was given up while it may still
# be under way is over, at the latest, when its time is up: `ends_in` says how many seconds that is from now.
UNKNOWN = """
    SELECT instance_id, node_id,
           CASE WHEN status IN ('running', 'cancelled')
                THEN greatest(0, extract(epoch FROM coalesce(completed_at, clock_timestamp()) - clock_timestamp())
                                 + coalesce((policy ->> 'timeout_s')::float8, 0))::float8
                ELSE 0::float8 END AS ends_in
      FROM activities
     WHERE instance_id = ANY(%s) AND kind = 'node' AND attempts > 0
       AND (status IN ('running', 'cancelled')
            OR status IN ('pending', 'parked', 'failed') AND error ->> 'unknown' = 'true')
     ORDER BY started_at, id
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be undone, newest first; nothing of it before `begins_in` seconds: until then something may run."""

    entries: list[JSON] = field(default_factory=list)
    begins_in: float = 0.0


@dataclass(slots=True)
class _Run:
    # What one instance did, by node: the version it ran in; in `done` by the order of completion.
    version: str = ""
    places: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    done: dict[str, None] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def hear(self, kind: str, data: JSON) -> None:
        node = data.get("node")
        if kind == "flow_started":
            self.version = data["version_id"]
        elif kind == "migrated":
            self.version = data["to_version_id"]
        elif node is not None:
            self._hear_of(node, kind, data)

    def _hear_of(self, node: str, kind: str, data: JSON) -> None:
        if kind in ("node_started", "node_completed"):
            self.places.setdefault(node, (self.version, data["step"]))
        if kind == "retried":
            self.failed.discard(node)
        elif kind == "node_failed":
            self.failed.add(node)
        elif kind == "activity_completed" or (kind == "node_completed" and node not in self.failed):
            self.done.pop(node, None)
            self.done[node] = None


def of(ids: Sequence[str]) -> dict[str, Plan]:
    """Give the plan of each instance; their rows are locked by the caller."""
    runs = {each: _Run() for each in ids}
    for key, kind, data in execute(LOG, [list(ids)]).fetchall():
        runs[key].hear(kind, orjson.loads(data))
    pauses: dict[str, float] = {}
    for key, node, ends_in in execute(UNKNOWN, [list(ids)]).fetchall():
        if node not in runs[key].done:
            runs[key].done[node] = None
            pauses[key] = max(pauses.get(key, 0.0), ends_in)
    return {key: Plan(list(_entries(run)), pauses.get(key, 0.0)) for key, run in runs.items()}


def _entries(run: _Run) -> list[JSON]:
    found = []
    for node in reversed(run.done):
        version, step = run.places.get(node, (run.version, None))
        undo = _undo(version, node)
        if undo is not None:
            found.append({"step": step, "node": node, **undo})
    return found


def _undo(version: str, node: str) -> JSON | None:
    given = _nodes_of(version).get(node)
    if given is None:
        return None
    if given.compensation is not None:
        return {"type": given.compensation.type, "by": "node", "config": given.compensation.config}
    return {"type": given.type, "by": "type", "config": given.config} if can_compensate(given.type) else None


def can_compensate(node_type: str) -> bool:
    """Whether nodes of this type are undone by themselves; an unknown type may be, so that somebody has to look."""
    try:
        return type(registry.get(node_type)).compensate is not Node.compensate
    except UnknownNodeType:
        return True


# The graph of a version that has instances never changes.
@lru_cache(maxsize=512)
def _nodes_of(version: str) -> dict[str, model.GraphNode]:
    graph = FlowVersion.objects.only("graph").get(pk=version).graph
    return dict(model.parse(graph).nodes)
