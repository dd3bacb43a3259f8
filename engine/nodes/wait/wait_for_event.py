"""Hold until the participant does something, or until patience runs out."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, ClassVar, Literal, assert_never

from pydantic import Field

from engine.expressions import EVERYTHING, Rule, bind
from engine.nodes import registry
from engine.nodes.base import Category, Node, NodeConfig, Notice, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.duration import Duration
from engine.nodes.outcomes import JSON, Branched, Outcome, Waiting
from engine.nodes.save_as import SaveAs
from engine.nodes.wakeups import EventArrived, TimerFired, Wakeup

EventType = Annotated[str, Field(min_length=1, max_length=200)]


@registry.node
class WaitForEvent(Node):
    """An event, or a timeout, whichever is first by event time."""

    type = "wait_for_event"
    category = Category.WAIT
    title = "Wait for event"
    description = (
        "Goes on when a matching event of the participant arrives, or when the timeout has passed without one."
    )
    branches = ("event_received", "timed_out")
    runs_as = RunsAs.INLINE
    result_schema: ClassVar[JSON] = {
        "type": "object",
        "properties": {
            "timed_out": {"type": "boolean"},
            "event": {"type": ["object", "null"], "description": "The data of the event."},
            "event_type": {"type": "string"},
            "event_id": {"type": "string"},
            "occurred_at": {"type": "string", "format": "date-time"},
        },
    }

    class Config(NodeConfig):
        """What to wait for, and how long."""

        event_type: EventType | Annotated[tuple[EventType, ...], Field(min_length=1, max_length=20)] = Field(
            description="The event to wait for, or a list of events of which any will do."
        )
        filter: Rule = Field(EVERYTHING, description="A rule on the event's data; other events are passed over.")
        timeout: Duration | None = Field(None, description="Go on by timed_out after this; without it, wait for ever.")
        lookback: Literal["none", "since_previous_node", "since_entry"] | Duration = Field(
            "none", description="From when on an event counts that arrived before the wait began; or a duration."
        )
        save_as: SaveAs = None

    def notices(self, config: Config, now: datetime) -> Iterable[Notice]:
        """A wait that may never end."""
        if config.timeout is None:
            yield Notice("wait_without_timeout", "timeout", "without a timeout, whoever never does this waits for ever")

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Wait for what the filter means for this instance."""
        types = (config.event_type,) if isinstance(config.event_type, str) else config.event_type
        return Waiting(
            until=None if config.timeout is None else step.now + config.timeout,
            event_types=types,
            filter=bind(config.filter.raw, step.scope()) or None,
            lookback=step.since(config.lookback),
        )

    def resume(self, config: Config, step: StepContext, wakeup: Wakeup) -> Outcome:
        """Take the branch of what came first."""
        match wakeup:
            case EventArrived():
                return Branched("event_received", {"timed_out": False, **wakeup.facts()})
            case TimerFired():
                return Branched("timed_out", {"timed_out": True, "event": None})
        assert_never(wakeup)
