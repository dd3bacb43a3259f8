"""Start when the participant does something."""

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from engine.expressions import EVERYTHING, Rule, Scope
from engine.nodes import registry
from engine.nodes.base import Category, Node, NodeConfig, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.duration import Duration
from engine.nodes.outcomes import JSON, Completed, Outcome


@registry.node
class EventEntry(Node):
    """An inbound event starts the flow; its data become `entry`."""

    type = "event_entry"
    category = Category.TRIGGER
    title = "Event"
    description = "Starts the flow for a participant when an event arrives. The event's data are read as `entry`."
    runs_as = RunsAs.INLINE
    result_schema: ClassVar[JSON] = {"type": "object", "properties": {}}

    class Config(NodeConfig):
        """Which events start the flow."""

        event_type: str = Field(min_length=1, max_length=200, description="The event that starts the flow.")
        filter: Rule = Field(
            EVERYTHING, description="A rule on the event and profile; only matching events start the flow."
        )
        max_event_age: Duration | None = Field(
            None, description="An event that happened longer ago than this starts nothing; without it, any age will do."
        )

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Complete: what starts the flow has happened already."""
        return Completed()

    def refusal(self, config: Config, scope: Scope, *, occurred_at: datetime, now: datetime) -> str | None:
        """Give the reason code for which an event does not start the flow, or None when it does."""
        if config.max_event_age is not None and now - occurred_at > config.max_event_age:
            return "event_too_old"
        return None if config.filter.matches(scope) else "entry_filter"
