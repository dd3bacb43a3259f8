"""
The roll-back of instances, one compensation after another.

Plan and progress are events and the `compensation` column; what is done next is an activity that is written in the
transaction that knows the one before it is over. Callers hold the instances' rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import transaction

from engine.compensation import plans
from engine.connections import execute
from engine.execution import write
from engine.execution.burst import Burst
from engine.execution.policy import policy_of
from engine.execution.rollback_folds import DONE, PENDING
from engine.nodes import registry
from engine.nodes.errors import InvalidConfig, UnknownNodeType

JSON = dict[str, Any]

KIND = "compensation"
# The policy of what cannot even be configured any more: it is parked at once.
HOPELESS: JSON = {
    "attempts": 1, "backoff_s": 1.0, "max_interval_s": 1.0, "non_retryable": [], "timeout_s": 30.0,
    "on_unknown": "retry",
}  # fmt: skip

WRITE_PROGRESS = """
    UPDATE flow_instances i SET compensation = n.compensation
      FROM jsonb_to_recordset(%s::jsonb) AS n(id uuid, compensation jsonb) WHERE i.id = n.id
"""
READ_PROGRESS = "SELECT id, compensation FROM flow_instances WHERE id = ANY(%s) AND compensation IS NOT NULL"

SCHEDULE = """
    INSERT INTO activities (id, tenant_id, flow_id, instance_id, node_id, kind, target, input, idempotency_key, policy,
                            status, attempts, due_at, worker, held, deaths, created_at)
    SELECT n.id, n.tenant_id, n.flow_id, n.instance_id, n.node_id, n.kind, n.target, n.input, n.key, n.policy,
           'pending', 0, clock_timestamp() + make_interval(secs => n.pause), '', false, 0, clock_timestamp()
      FROM jsonb_to_recordset(%s::jsonb) AS n(
           id uuid, tenant_id uuid, flow_id uuid, instance_id uuid, node_id text, kind text, target text, input jsonb,
           key text, policy jsonb, pause float8)
     ORDER BY n.key
"""

# Told after commit: the ids of instances that have something to undo, and how many there is at most in one of them.
Announce = Callable[[Sequence[str], int], None]
on_begun: list[Announce] = []


@dataclass(slots=True)
class Progress:
    """One instance's roll-back while it is moved: what is gathered in memory, and what is to be scheduled."""

    burst: Burst
    scheduled: JSON | None = None
    is_over: bool = False

    @property
    def plan(self) -> list[JSON]:
        """The entries, newest first, each with its state."""
        found: list[JSON] = (self.burst.state.compensation or {"plan": []})["plan"]
        return found

    @property
    def left(self) -> list[JSON]:
        """What is not undone yet."""
        return [each for each in self.plan if each["state"] != DONE]

    def start(self, cause: JSON, entries: Sequence[JSON]) -> None:
        """Record the plan; whatever the instance stood at ends."""
        burst = self.burst
        for token in list(burst.state.tokens.values()):
            if token["step"] is not None and token["status"] != "failed":
                burst.end_step(token["node_id"], status="cancelled")
        kept = ("step", "node", "type", "by", "config")
        burst.record(
            "compensation_started", {"cause": cause, "plan": [{name: each[name] for name in kept} for each in entries]}
        )

    def go_on(self, *, pause: float = 0.0) -> None:
        """Schedule the next compensation, or record that there is none left."""
        entry = next((each for each in self.plan if each["state"] == PENDING), None)
        if entry is None:
            self.is_over = True
            return
        key = key_of(self.burst.state.id, entry["node"])
        activity = write.new_id()
        self.scheduled = self._activity(entry, key) | {"id": activity, "pause": pause}
        self.note_scheduled(entry["node"], activity)

    def note_scheduled(self, node: str, activity: str) -> None:
        """Record that the compensation of a node has become an activity."""
        key = key_of(self.burst.state.id, node)
        self.burst.record("compensation_scheduled", {"node": node, "activity": activity, "idempotency_key": key})

    def _activity(self, entry: JSON, key: str) -> JSON:
        state = self.burst.state
        return {
            "tenant_id": state.tenant_id, "flow_id": state.flow_id, "instance_id": state.id, "node_id": entry["node"],
            "kind": KIND, "target": entry["type"], "input": {"by": entry["by"], "config": entry["config"]},
            "key": key, "policy": _policy(entry),
        }  # fmt: skip


def key_of(instance_id: str, node: str) -> str:
    """Give the idempotency key of a compensation, the same over all attempts."""
    return f"{instance_id}:{node}:compensate"


def begin(bursts: Sequence[Burst], *, cause: JSON, metadata: JSON) -> None:
    """Plan the roll-back of failed or exited instances, and schedule the first compensation of each."""
    found = plans.of([burst.state.id for burst in bursts])
    begun = []
    for burst in bursts:
        progress, plan = Progress(burst), found[burst.state.id]
        progress.start(cause, plan.entries)
        # Closed as at an end: its timers, its waits and the side effects that it still had go.
        burst.ended = True
        progress.go_on(pause=plan.begins_in)
        begun.append(progress)
    save(begun, metadata)
    announce(begun)


def save(progresses: Sequence[Progress], metadata: JSON) -> None:
    """Write what was recorded, how far each roll-back has come, and what is done next."""
    moved = [each for each in progresses if each.burst.events]
    write.batch([each.burst for each in moved], metadata=metadata)
    if moved:
        documents = [{"id": each.burst.state.id, "compensation": each.burst.state.compensation} for each in moved]
        execute(WRITE_PROGRESS, [orjson.dumps(documents).decode()])
    # A row moves one arrow at a time, so the end is written by itself.
    over = [continued(each.burst) for each in moved if each.is_over]
    for burst in over:
        burst.record("compensation_completed", {})
    write.batch(over, metadata=metadata)
    if scheduled := [each.scheduled for each in moved if each.scheduled]:
        execute(SCHEDULE, [orjson.dumps(scheduled).decode()])


def announce(progresses: Sequence[Progress]) -> None:
    """Tell, after commit, who has something to undo."""
    busy = [each for each in progresses if each.left]
    if busy:
        ids, most = [each.burst.state.id for each in busy], max(len(each.left) for each in busy)
        transaction.on_commit(lambda: _tell(ids, most), robust=True)


def load(bursts: Sequence[Burst]) -> list[Progress]:
    """Give the roll-backs of these instances as they stand; one that has none is left out."""
    ids = [burst.state.id for burst in bursts]
    stored = {row[0]: orjson.loads(row[1]) for row in execute(READ_PROGRESS, [ids]).fetchall()}
    for burst in bursts:
        burst.state.compensation = stored.get(burst.state.id)
    return [Progress(burst) for burst in bursts if burst.state.compensation]


def continued(burst: Burst) -> Burst:
    """Give a burst that goes on where another one, which has been written, ended."""
    state = copy(burst.state)
    return Burst(
        state=state, program=burst.program, now=burst.now, was=state.status, previous=state.sequence,
        log_tx=burst.log_tx, deaths=burst.deaths, cause=burst.cause,
    )  # fmt: skip


def _tell(ids: Sequence[str], most: int) -> None:
    for each in on_begun:
        each(ids, most)


# Never `explicit`: a compensation that stays failing is parked for an operator, whatever its config says.
def _policy(entry: JSON) -> JSON:
    try:
        policy = policy_of(registry.get(entry["type"]), registry.parse_config(entry["type"], entry["config"]))
    except (UnknownNodeType, InvalidConfig):
        policy = dict(HOPELESS)
    return policy | {"explicit": False}
