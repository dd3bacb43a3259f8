"""The language of node tests: run a node type on JSON, at noon of a summer's day."""

from datetime import UTC, datetime, timedelta
from typing import Any

from engine.nodes import registry
from engine.nodes.context import StepContext
from engine.nodes.errors import InvalidConfig
from engine.nodes.outcomes import Outcome
from engine.nodes.wakeups import EventArrived, TimerFired, Wakeup

NOON = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)  # a Wednesday


def step(**facts: Any) -> StepContext:
    """A step of ada's, with what the test says about it."""
    given = {
        "now": NOON,
        "instance_id": "i-1",
        "node_id": "n-1",
        "participant_id": "ada",
        "entry": {},
        "entered_at": NOON - timedelta(hours=2),
        **facts,
    }
    return StepContext(**given)


def execute(type_: str, config: Any, **facts: Any) -> Outcome:
    """What the node says when it runs."""
    return registry.get(type_).execute(registry.parse_config(type_, config), step(**facts))


def resume(type_: str, config: Any, wakeup: Wakeup | None = None, **facts: Any) -> Outcome:
    """What the node says when it is woken, by its timer if nothing else."""
    return registry.get(type_).resume(registry.parse_config(type_, config), step(**facts), wakeup or TimerFired())


def arrival(event_type: str, **data: Any) -> EventArrived:
    """An event that came a minute ago."""
    return EventArrived(event_id="e-1", event_type=event_type, data=data, occurred_at=NOON - timedelta(minutes=1))


def problems(type_: str, config: Any) -> dict[str, str]:
    """What is wrong with a config, by place."""
    try:
        registry.parse_config(type_, config)
    except InvalidConfig as error:
        return {problem.path: problem.message for problem in error.problems}
    return {}
