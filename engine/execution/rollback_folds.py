"""What the events of a roll-back do to the state of an instance; a part of `state.apply`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flows.models.instance import FlowInstance
from flows.models.instance import InstanceStatus as Status

if TYPE_CHECKING:
    from engine.event_store.events import Event
    from engine.execution.state import InstanceState

JSON = dict[str, Any]

PENDING, RUNNING, DONE, PARKED = "pending", "running", "done", "parked"


def _move(state: InstanceState, target: Status) -> None:
    FlowInstance.TRANSITIONS.check(state.status, target.value, of="instance")
    state.status = target.value


def _entry(state: InstanceState, node: str) -> JSON:
    plan: list[JSON] = (state.compensation or {})["plan"]
    return {each["node"]: each for each in plan}[node]


def _started(state: InstanceState, data: JSON, event: Event) -> None:
    _move(state, Status.COMPENSATING)
    fresh = {"state": PENDING, "attempts": 0, "error": None, "activity": None}
    state.compensation = {"cause": data["cause"], "plan": [{**each, **fresh} for each in data["plan"]]}
    state.tokens = {}


def _scheduled(state: InstanceState, data: JSON, event: Event) -> None:
    _entry(state, data["node"]).update(state=RUNNING, activity=data["activity"])


def _attempt_failed(state: InstanceState, data: JSON, event: Event) -> None:
    entry = _entry(state, data["node"])
    entry.update(attempts=data["attempt"], error=data["error"])
    if data["parked"]:
        entry["state"] = PARKED


def _succeeded(state: InstanceState, data: JSON, event: Event) -> None:
    _entry(state, data["node"]).update(state=DONE, attempts=data["attempt"], error=None)


def _completed(state: InstanceState, data: JSON, event: Event) -> None:
    _move(state, Status.COMPENSATED)


def _failed(state: InstanceState, data: JSON, event: Event) -> None:
    _move(state, Status.COMPENSATION_FAILED)


FOLDS: dict[str, Callable[[InstanceState, JSON, Event], None]] = {
    "compensation_started": _started,
    "compensation_scheduled": _scheduled,
    "compensation_attempt_failed": _attempt_failed,
    "compensation_succeeded": _succeeded,
    "compensation_completed": _completed,
    "compensation_failed": _failed,
}
