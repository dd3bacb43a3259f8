"""One instance during one batch: its state, and everything that must be written when the batch commits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from engine import ports
from engine.event_store.events import Event
from engine.execution.program import Program
from engine.execution.state import InstanceState, apply
from tenants.ids import uuid7

JSON = dict[str, Any]

GOAL_REACHED = "goal_reached"
# How a conversion is put down to a message where it is not the goal of the flow's settings.
ATTRIBUTION = "last_click_then_last_send"
# The reason with which a run ends whose participant is kept out, to compare with.
HELD_OUT = "holdout"


@dataclass(slots=True)
class StepRow:
    """A step to insert, or (moved) one of an earlier batch to move on."""

    n: int
    node_id: str
    node_type: str
    attempt: int
    status: str
    started_at: datetime
    branch: str | None = None
    input: JSON | None = None
    output: JSON | None = None
    error: JSON | None = None
    completed_at: datetime | None = None
    moved: bool = False


@dataclass(slots=True)
class TimerRow:
    """A timer to set."""

    node_id: str
    due_at: datetime


@dataclass(slots=True)
class SubscriptionRow:
    """A subscription to make."""

    event_type: str
    kind: str
    node_id: str
    filter: JSON | None
    since: datetime
    until: datetime | None


@dataclass(slots=True)
class ActivityRow:
    """An activity to schedule."""

    id: str
    node_id: str
    kind: str
    target: str
    input: JSON
    key: str
    policy: JSON


@dataclass(frozen=True, slots=True)
class Known:
    """What was fetched for the filters of a run: the profile of its participant, and its deliveries by node."""

    participant: JSON | None = None
    deliveries: Mapping[str, JSON] = field(default_factory=dict)


NOTHING_KNOWN = Known()


@dataclass(slots=True)
class Burst:
    """
    Collects what one instance did in memory; nothing of it exists before the batch's statements have run.

    `effects` are for the ports. `was` and `previous` are the status and sequence it was read with: the guard of its
    UPDATE. `disarmed` names tokens whose timer and wait subscriptions go; `recheck` has the loop look at it although no
    token runs, `looked` says that this is the loop's own look; `cause` is what the metadata of its events says beside
    the batch's; `had_waits` says that rows of earlier batches may listen, wait or work for it; `withdrawn` names the
    messages that an end from outside takes back, where they have not been handed over.
    """

    state: InstanceState
    program: Program
    now: datetime
    was: str
    previous: int
    log_tx: int
    deaths: int = 0
    cause: JSON = field(default_factory=dict)
    events: list[tuple[Event, bytes]] = field(default_factory=list)
    steps: dict[int, StepRow] = field(default_factory=dict)
    timers: dict[str, TimerRow] = field(default_factory=dict)
    subscriptions: list[SubscriptionRow] = field(default_factory=list)
    activities: list[ActivityRow] = field(default_factory=list)
    effects: list[Any] = field(default_factory=list)
    disarmed: set[str] = field(default_factory=set)
    withdrawn: list[str] = field(default_factory=list)
    known: Known = NOTHING_KNOWN
    ended: bool = False
    frozen: bool = False
    context_changed: bool = False
    had_waits: bool = True
    recheck: bool = False
    looked: bool = False

    def record(self, kind: str, data: JSON) -> None:
        """Append an event and fold it in. Data that is not JSON raises here, where the culprit is known."""
        event = Event(kind, data, self.state.sequence + 1, self.now)
        encoded = orjson.dumps(data)
        apply(self.state, event)
        self.events.append((event, encoded))
        if kind == GOAL_REACHED:
            self.effects.append(_conversion(self, data))

    def begin_step(self, node_id: str, *, status: str, step_input: JSON | None = None) -> None:
        """Record a node_started and the step row that lies open until the node ends."""
        token = self.state.tokens[node_id]
        data = {
            "node": node_id,
            "type": token["node_type"],
            "step": self.state.step_count + 1,
            "attempt": token["attempt"],
        }
        self.record("node_started", data)
        n = self.state.step_count
        self.steps[n] = StepRow(n, node_id, token["node_type"], token["attempt"], status, self.now, input=step_input)

    def end_step(
        self,
        node_id: str,
        *,
        status: str,
        branch: str | None = None,
        output: JSON | None = None,
        error: JSON | None = None,
    ) -> int:
        """Close the token's open step, or write the only row of an inline run; gives the step's number."""
        token = self.state.tokens[node_id]
        n = token["step"]
        if n is None:
            n = self.state.step_count + 1
            row = self.steps[n] = StepRow(n, node_id, token["node_type"], token["attempt"], status, self.now)
        elif n in self.steps:
            row = self.steps[n]
        else:
            row = self.steps[n] = StepRow(
                n, node_id, token["node_type"], token["attempt"], status, self.now, moved=True
            )
        row.status, row.branch, row.output, row.error, row.completed_at = status, branch, output, error, self.now
        return int(n)

    def arm(
        self,
        node_id: str,
        *,
        until: datetime | None,
        event_types: list[str],
        filter_: JSON | None,
        since: datetime | None = None,
    ) -> None:
        """Set the timer and the subscriptions of a wait; events count from now on, or from where it looks back to."""
        if until is not None:
            self.timers[node_id] = TimerRow(node_id, until)
        for event_type in event_types:
            self.subscriptions.append(SubscriptionRow(event_type, "wait", node_id, filter_, since or self.now, until))

    def disarm(self, node_id: str) -> None:
        """Take back the timer and the subscriptions of a wait, whether they were written before or only now."""
        if self.timers.pop(node_id, None) is None:
            self.disarmed.add(node_id)
        kept = [row for row in self.subscriptions if row.kind != "wait" or row.node_id != node_id]
        if len(kept) == len(self.subscriptions):
            self.disarmed.add(node_id)
        self.subscriptions = kept

    def schedule(self, node_id: str, *, kind: str, target: str, payload: JSON, policy: JSON) -> None:
        """Record an activity that the token waits for."""
        key = f"{self.state.id}:{node_id}:1"
        row = ActivityRow(str(uuid7()), node_id, kind, target, payload, key, policy)
        self.record(
            "activity_scheduled",
            {
                "node": node_id,
                "activity": row.id,
                "kind": kind,
                "target": target,
                "input": payload,
                "idempotency_key": key,
            },
        )
        self.activities.append(row)

    def end(self, kind: str, data: JSON) -> None:
        """End the instance: `completed` or `exited`; every other token's wait and awaited activity goes with it."""
        for each in self.state.tokens.values():
            if each["step"] is not None and each["status"] != "failed":
                self.end_step(each["node_id"], status="cancelled")
        if kind == "exited" and data["node"] is None:
            self.withdrawn = [*_messages_of(self.state)]
        self.record(kind, data)
        self.ended = True
        self.timers.clear()
        self.activities.clear()
        self.subscriptions = [row for row in self.subscriptions if row.kind == "goal"]

    def fail(self, code: str, detail: str, node_id: str | None) -> None:
        """Fail the instance: tokens freeze where they are, and nothing of theirs fires until a retry."""
        self.record("failed", {"error": {"code": code, "detail": detail[:2000], "node_id": node_id}})
        self.frozen = True
        self.timers.clear()
        self.subscriptions = [row for row in self.subscriptions if row.kind == "goal"]

    @property
    def is_runnable(self) -> bool:
        """Whether a token can be run right now."""
        return self.state.status == "running" and any(
            each["status"] == "running" for each in self.state.tokens.values()
        )

    def has_used(self, event_id: str) -> bool:
        """Whether the run has entered or gone on by this event already: it does not count again."""
        results = self.state.accumulated.values()
        return event_id == self.state.entry_event or any(
            isinstance(each, dict) and each.get("event_id") == event_id for each in results
        )


# What it has queued, also where it waits for what becomes of a message.
def _messages_of(state: InstanceState) -> Iterator[str]:
    waits = ((each["waiting_for"] or {}).get("wait") for each in state.tokens.values())
    for each in (*state.accumulated.values(), *waits):
        if isinstance(each, dict) and isinstance(key := each.get("delivery_id"), str):
            yield key


# What is counted follows from the event, so that the log and the count of conversions cannot differ.
def _conversion(burst: Burst, data: JSON) -> ports.Conversion:
    state = burst.state
    return ports.Conversion(
        instance_id=state.id,
        flow_id=state.flow_id,
        version=state.version,
        participant_id=state.participant_id,
        name=data["name"],
        at=datetime.fromisoformat(data["event"]["occurred_at"]) if data["event"] else burst.now,
        attribution=_attribution(burst, data["name"]),
        facts=data.get("facts", {}),
    )


def _attribution(burst: Burst, name: str) -> str:
    if burst.state.exit_reason == HELD_OUT:
        return HELD_OUT
    goal = burst.program.settings.goal
    return goal.attribution if goal and goal.name == name else ATTRIBUTION
