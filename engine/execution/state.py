"""
The one place that computes the state of an instance.

`apply` folds one event into a state, changed in place. The loop writes its output, verbs only append events, and replay
and `verify` call the same function. It reads no clock and no table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.event_store.events import Event
from engine.execution import rollback_folds
from engine.execution.tokens import BROKEN, HELD, RUNNING, WAITING, arrive
from engine.moments import iso
from flows.models.instance import FlowInstance
from flows.models.instance import InstanceStatus as Status

JSON = dict[str, Any]


@dataclass(slots=True)
class InstanceState:
    """What an instance is, as its events tell it. Tokens are the `current_nodes` of its row, by node id."""

    id: str
    tenant_id: str = ""
    flow_id: str = ""
    version_id: str = ""
    version: int = 0
    participant_id: str = ""
    correlation_key: str = ""
    live_key: str = ""
    status: str = Status.RUNNING.value
    tokens: dict[str, JSON] = field(default_factory=dict)
    entry: JSON = field(default_factory=dict)
    accumulated: JSON = field(default_factory=dict)
    outcomes: dict[str, str | None] = field(default_factory=dict)
    entry_event: str | None = None
    step_count: int = 0
    entered_at: datetime | None = None
    updated_at: datetime | None = None
    completed_at: datetime | None = None
    exited_at: datetime | None = None
    exit_reason: str = ""
    error: JSON | None = None
    compensation: JSON | None = None
    migrated_from_version: int | None = None
    migrated_at: datetime | None = None
    sequence: int = 0

    @property
    def context(self) -> JSON:
        """The `context` column."""
        return {
            "entry": self.entry,
            "accumulated": self.accumulated,
            "outcomes": self.outcomes,
            "entry_event": self.entry_event,
        }

    @property
    def current_nodes(self) -> list[JSON]:
        """The `current_nodes` column."""
        return list(self.tokens.values())


class SequenceGap(Exception):
    """An event does not follow the one before it."""


def apply(state: InstanceState, event: Event) -> InstanceState:
    """
    Fold an event into a state.

    Raises SequenceGap, IllegalTransition or KeyError (a token that is not there); the state is spoilt then and must be
    thrown away.
    """
    if event.sequence != state.sequence + 1:
        raise SequenceGap(f"Event {event.sequence} ({event.type}) of {state.id} follows {state.sequence}.")
    _FOLDS[event.type](state, event.data, event)
    state.sequence = event.sequence
    state.updated_at = event.at
    return state


# --- status -----------------------------------------------------------------------------------------------------------


def _move(state: InstanceState, target: str) -> None:
    if state.status != target:
        FlowInstance.TRANSITIONS.check(state.status, target, of="instance")
        state.status = target


_FOLLOWS_TOKENS = frozenset({RUNNING, WAITING})


# Running and waiting follow from the tokens; every other status only from its own event.
def _settle(state: InstanceState) -> None:
    if state.status in _FOLLOWS_TOKENS:
        target = WAITING if state.tokens else RUNNING
        for each in state.tokens.values():
            if each["status"] == RUNNING:
                target = RUNNING
                break
        if state.status != target:
            _move(state, target)


# --- life -------------------------------------------------------------------------------------------------------------


def _flow_started(state: InstanceState, data: JSON, event: Event) -> None:
    for name in ("tenant_id", "flow_id", "version_id", "version", "participant_id", "correlation_key", "live_key"):
        setattr(state, name, data[name])
    state.entry = data["context"]
    state.entry_event = data["entry_event"]
    state.entered_at = event.at
    node = data["entry_node"]
    state.tokens = {node: arrive(node, data["entry_type"], iso(event.at))}


def _paused(state: InstanceState, data: JSON, event: Event) -> None:
    _move(state, Status.PAUSED.value)


def _resumed(state: InstanceState, data: JSON, event: Event) -> None:
    runs = any(each["status"] == RUNNING for each in state.tokens.values())
    _move(state, (Status.RUNNING if runs else Status.WAITING).value)


def _completed(state: InstanceState, data: JSON, event: Event) -> None:
    _move(state, Status.COMPLETED.value)
    state.tokens = {}
    state.completed_at = event.at
    state.exit_reason = data["reason"]


def _exited(state: InstanceState, data: JSON, event: Event) -> None:
    _move(state, Status.EXITED.value)
    state.tokens = {}
    state.exited_at = event.at
    state.exit_reason = data["reason"]


def _failed(state: InstanceState, data: JSON, event: Event) -> None:
    _move(state, Status.FAILED.value)
    state.error = data["error"]


def _retried(state: InstanceState, data: JSON, event: Event) -> None:
    _move(state, Status.RUNNING.value)
    state.error = None
    node = data["node"]
    if node is not None:
        after = state.tokens[node]["after"]
        state.tokens[node] = arrive(node, data["type"], iso(event.at), after=after, attempt=data["attempt"])
    _settle(state)


def _migrated(state: InstanceState, data: JSON, event: Event) -> None:
    state.migrated_from_version = data["from_version"]
    state.version, state.version_id = data["to_version"], data["to_version_id"]
    state.migrated_at = event.at


# --- nodes ------------------------------------------------------------------------------------------------------------


def _node_started(state: InstanceState, data: JSON, event: Event) -> None:
    state.step_count += 1
    state.tokens[data["node"]]["step"] = state.step_count


def _node_completed(state: InstanceState, data: JSON, event: Event) -> None:
    node = data["node"]
    if state.tokens.pop(node)["step"] is None:
        state.step_count += 1
    state.accumulated[node] = data["result"]
    state.outcomes[node] = data["branch"]
    if following := data["next"]:
        since = iso(event.at)
        for target, node_type in zip(following, data["next_types"], strict=True):
            state.tokens[target] = arrive(target, node_type, since, after=data["started_at"])
    _settle(state)


def _node_failed(state: InstanceState, data: JSON, event: Event) -> None:
    broken = state.tokens[data["node"]]
    if broken["step"] is None:
        state.step_count += 1
        broken["step"] = state.step_count
    broken.update(status=BROKEN, wake=None, activity=None, waiting_for=None)
    _settle(state)


def _token_joined(state: InstanceState, data: JSON, event: Event) -> None:
    if not data["absorbed"]:
        state.tokens[data["node"]]["status"] = HELD
        _settle(state)


# --- waits and activities ---------------------------------------------------------------------------------------------


def _wait_started(state: InstanceState, data: JSON, event: Event) -> None:
    waiting = state.tokens[data["node"]]
    waiting["status"] = WAITING
    waiting["wake"] = None
    waiting["waiting_for"] = {name: data[name] for name in ("event_types", "until", "filter", "wait")}
    _settle(state)


def _wait_resolved(state: InstanceState, data: JSON, event: Event) -> None:
    _wake(state, data["node"], {"by": data["by"], "event": data.get("event")})


def _handed_over(state: InstanceState, data: JSON, event: Event) -> None:
    state.participant_id = data["participant_id"]


def _wait_retimed(state: InstanceState, data: JSON, event: Event) -> None:
    waiting = state.tokens[data["node"]]["waiting_for"]
    state.tokens[data["node"]]["waiting_for"] = {**waiting, "until": data["until"]}


def _entry_replaced(state: InstanceState, data: JSON, event: Event) -> None:
    state.entry = data["context"]
    _wait_retimed(state, data, event)


def _activity_scheduled(state: InstanceState, data: JSON, event: Event) -> None:
    waiting = state.tokens[data["node"]]
    waiting["status"] = WAITING
    waiting["wake"] = None
    waiting["activity"] = data["activity"]
    _settle(state)


def _activity_completed(state: InstanceState, data: JSON, event: Event) -> None:
    _wake(state, data["node"], {"by": "activity", "outcome": data["outcome"]})


def _activity_failed(state: InstanceState, data: JSON, event: Event) -> None:
    if data["final"]:
        _wake(state, data["node"], {"by": "activity", "error": data["error"]})


def _wake(state: InstanceState, node: str, wake: JSON) -> None:
    woken = state.tokens[node]
    woken["status"] = RUNNING
    woken["wake"] = {**wake, "wait": (woken["waiting_for"] or {}).get("wait", {})}
    woken["waiting_for"] = None
    woken["activity"] = None
    _settle(state)


def _goal_reached(state: InstanceState, data: JSON, event: Event) -> None:
    """Nothing moves: what follows from a goal is an event of its own."""


_FOLDS: dict[str, Callable[[InstanceState, JSON, Event], None]] = {
    "flow_started": _flow_started,
    "node_started": _node_started,
    "wait_started": _wait_started,
    "wait_resolved": _wait_resolved,
    "wait_retimed": _wait_retimed,
    "handed_over": _handed_over,
    "activity_scheduled": _activity_scheduled,
    "activity_completed": _activity_completed,
    "activity_failed": _activity_failed,
    "node_completed": _node_completed,
    "node_failed": _node_failed,
    "token_joined": _token_joined,
    "goal_reached": _goal_reached,
    "entry_replaced": _entry_replaced,
    "paused": _paused,
    "resumed": _resumed,
    "retried": _retried,
    "exited": _exited,
    "completed": _completed,
    "failed": _failed,
    "migrated": _migrated,
    **rollback_folds.FOLDS,
}
