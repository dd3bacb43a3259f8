"""The `settings` of a graph: who may enter, when a run ends early, and what its sends must respect."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from engine.expressions import EVERYTHING, InvalidPath, Rule, Scope, bind, compile_path
from engine.message_caps import Cap
from engine.nodes import config
from engine.nodes.base import NodeConfig
from engine.nodes.duration import Duration
from engine.nodes.errors import ConfigProblem, InvalidConfig
from engine.nodes.local_time import LocalTime, ZoneName

Name = Annotated[str, Field(min_length=1, max_length=200)]
Channel = Literal["email", "sms", "push", "whatsapp", "in_app"]

USUAL_PRIORITY: Final = 50


class EventCriterion(NodeConfig):
    """An event that ends the run, of which the filter may ask more."""

    event_type: Name = Field(description="The event that ends the run.")
    filter: Rule = Field(EVERYTHING, description="A rule on the event's data; other events are passed over.")


def _as_criteria(value: Any) -> Any:
    # A name, an object, or a list of either.
    if value is None:
        return ()
    items = value if isinstance(value, list | tuple) else [value]
    return tuple({"event_type": item} if isinstance(item, str) else item for item in items)


class ExitCriteria(NodeConfig):
    """What ends a run from outside."""

    on_event: Annotated[tuple[EventCriterion, ...], BeforeValidator(_as_criteria)] = Field(
        (), description="Events that end the run: a name, {event_type, filter}, or a list of them."
    )
    on_segment_exit: Name | None = Field(None, description="The segment whose loss ends the run.")
    when: Literal["immediately", "before_send"] = Field(
        "before_send", description="End at once when the segment is left, or when the next message would be sent."
    )

    @property
    def events(self) -> tuple[EventCriterion, ...]:
        """The events that end the run; the loss of the segment is one of them where it counts at once."""
        if self.on_segment_exit is None or self.when != "immediately":
            return self.on_event
        paths = ("event.segment_id", "event.segment_key")
        lost = {"any": [{"path": path, "op": "eq", "value": self.on_segment_exit} for path in paths]}
        return (*self.on_event, EventCriterion.model_validate({"event_type": "segment.left", "filter": lost}))


class Goal(NodeConfig):
    """What the flow is there for."""

    name: Name = Field(description="The name under which conversions are recorded.")
    event_type: Name | None = Field(None, description="The event that reaches the goal; without it, only nodes do.")
    filter: Rule = Field(EVERYTHING, description="A rule on the event's data; other events are passed over.")
    window: Duration = Field(timedelta(days=30), description="How long after entry the goal can be reached.")
    attribution: Literal["last_click_then_last_send", "last_send", "entry"] = Field(
        "last_click_then_last_send", description="Which message the conversion is put down to."
    )
    exit_on_goal: bool = Field(False, description="Whether reaching the goal ends the run.")


class OnDuplicateEntry(NodeConfig):
    """What an entry does that finds a run of the participant under way."""

    if_at_node: Name | None = Field(
        None, description="`do` applies while the run waits at this node; at any node without it."
    )
    do: Literal["restart_wait", "ignore"] = Field(
        "ignore", description="Time the wait anew with the new entry, or ignore it."
    )
    otherwise: Literal["restart_wait", "ignore"] = Field(
        "ignore", alias="else", description="What applies at other nodes."
    )


class FrequencyCap(NodeConfig):
    """How many messages a participant may get."""

    max_messages: int = Field(1, ge=1, le=10_000, description="How many messages are allowed.")
    time_window: Duration = Field(timedelta(days=1), description="In how long a time.")
    channel: Literal["all"] | Channel = Field("all", description="The channel that is counted, or all.")
    scope: Literal["flow", "workspace"] = Field("flow", description="Count this flow's messages, or everyone's.")

    def as_cap(self) -> Cap:
        """The cap."""
        return Cap(self.max_messages, self.time_window, self.channel, self.scope)


class QuietHours(NodeConfig):
    """When messages rest, by the participant's clock; transactional messages pass."""

    starts: LocalTime = Field(alias="from", description="The time of day from which messages rest.")
    ends: LocalTime = Field(alias="to", description="The time of day from which they go out again.")
    channels: tuple[Channel, ...] | None = Field(None, description="The channels that rest; all without it.")
    expires_in: Duration = Field(timedelta(hours=72), description="A message that could not go out by then is dropped.")
    on_closed: Literal["defer", "skip"] = Field("defer", description="Send when the quiet hours end, or not at all.")


class Backfill(NodeConfig):
    """Who enters when the flow starts, besides those who qualify later."""

    mode: Literal["none", "all"] = Field(
        "none", description="Whether those who are in the entry segment already enter."
    )
    rate_per_minute: int = Field(1_000, ge=1, le=1_000_000, description="How many of them enter per minute.")


class Settings(NodeConfig):
    """All settings of a graph, each with its default."""

    reentry: Literal["once", "once_at_a_time", "after_interval", "per_key", "always"] = Field(
        "once_at_a_time", description="How often a participant may enter."
    )
    reentry_interval: Duration | None = Field(None, description="For after_interval: the time between two entries.")
    correlation_key: str | None = Field(
        None, description="For per_key: the path of what tells runs apart, such as entry.cart_id."
    )
    on_duplicate_entry: OnDuplicateEntry | None = Field(
        None, description="What an entry does that finds a run under way."
    )
    default_timezone: ZoneName | None = Field(
        None, description="The zone of participants without one; else the tenant's."
    )
    exit_criteria: ExitCriteria = Field(ExitCriteria.model_validate({}), description="What ends a run from outside.")
    goal: Goal | None = Field(None, description="What the flow is there for.")
    frequency_cap: FrequencyCap | None = Field(None, description="How many messages a participant may get.")
    quiet_hours: QuietHours | None = Field(None, description="When messages rest.")
    priority: int = Field(
        USUAL_PRIORITY, ge=0, le=100, description="Which flow goes first when there is much to do; higher is sooner."
    )
    backfill: Backfill | None = Field(None, description="Who enters when the flow starts.")
    holdout_percent: int = Field(
        0, ge=0, le=100, description="How many of a hundred participants are kept out, to compare with."
    )
    on_failure: Literal["fail", "compensate"] = Field("fail", description="Whether a failed run is rolled back.")

    @property
    def rank(self) -> int:
        """Where its side effects stand among those of others: the lowest goes first, 0 is the usual."""
        return USUAL_PRIORITY - self.priority


def parse_settings(raw: Any) -> Settings:
    """Give the typed settings, or raise InvalidConfig with every problem."""
    settings: Settings = config.parse(Settings, raw)
    if problems := list(_contradictions(settings)):
        raise InvalidConfig(problems)
    return settings


def listeners_of(
    settings: Settings, entry: dict[str, Any], now: datetime
) -> Iterator[tuple[str, str, Any, datetime | None]]:
    """What is listened for from entry on: (event type, `exit` or `goal`, rule on the event, until when)."""
    scope = Scope(entry=entry, now=now)
    for criterion in settings.exit_criteria.events:
        yield criterion.event_type, "exit", bind(criterion.filter.raw, scope), None
    if (goal := settings.goal) is not None and goal.event_type:
        yield goal.event_type, "goal", bind(goal.filter.raw, scope), now + goal.window


def _contradictions(settings: Settings) -> list[ConfigProblem]:
    problems = []
    if settings.reentry == "after_interval" and settings.reentry_interval is None:
        problems.append(ConfigProblem("reentry_interval", "after_interval needs a reentry_interval"))
    if settings.reentry == "per_key" and settings.correlation_key is None:
        problems.append(ConfigProblem("correlation_key", "per_key needs a correlation_key"))
    if settings.correlation_key is not None and not _is_entry_path(settings.correlation_key):
        problems.append(ConfigProblem("correlation_key", "expected a path into the entry, such as entry.cart_id"))
    hours = settings.quiet_hours
    if hours is not None and hours.starts == hours.ends:
        problems.append(ConfigProblem("quiet_hours.to", "quiet hours must end at another time than they begin"))
    return problems


def _is_entry_path(text: str) -> bool:
    try:
        path = compile_path(text)
    except InvalidPath:
        return False
    return path.root == "entry" and bool(path.parts)
