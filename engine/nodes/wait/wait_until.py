"""Hold until a moment: a fixed one, one from the data, or the next time of day."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import ClassVar

from engine.moments import iso
from engine.nodes import registry
from engine.nodes.base import Category, Node, Notice, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Completed, Failed, Outcome, Waiting
from engine.nodes.until import moments
from engine.nodes.until.config import UntilConfig
from engine.nodes.wakeups import Wakeup


@registry.node
class WaitUntil(Node):
    """A moment by the wall clock of a time zone."""

    type = "wait_until"
    category = Category.WAIT
    title = "Wait until"
    description = (
        "Goes on at a moment: a date, a date in the data with an offset, or the next time of day on given weekdays."
    )
    runs_as = RunsAs.INLINE
    result_schema: ClassVar[JSON] = {
        "type": "object",
        "properties": {
            "until": {"type": "string", "format": "date-time"},
            "local": {"type": "string", "description": "The moment by the clock of the time zone."},
            "timezone": {"type": "string"},
            "timezone_note": {"type": "string", "description": "Why another zone was used than the one asked for."},
            "status": {"enum": ["completed", "skipped"]},
            "reason": {"enum": ["past_date", "missing_date"]},
        },
    }
    Config = UntilConfig

    def validate(self, config: UntilConfig) -> list[str]:
        """Ask each mode for what it needs."""
        return config.contradictions()

    def paths_of(self, config: UntilConfig) -> Iterable[tuple[str, str]]:
        """The field, and the participant's zone."""
        return config.paths()

    def notices(self, config: UntilConfig, now: datetime) -> Iterable[Notice]:
        """A fixed moment that nobody can wait for any more."""
        return config.notices(now)

    def execute(self, config: UntilConfig, step: StepContext) -> Outcome:
        """Wait, or go on as the config says when there is no such moment or it is past."""
        zone = moments.zone_for(config, step)
        moment = moments.moment_of(config, step, zone.zone)
        if moment is None:
            return _without_moment(config.on_missing, zone.facts(), "missing_date")
        local = moment.astimezone(zone.zone)
        facts = {**zone.facts(), "until": iso(moment.astimezone(UTC)), "local": local.isoformat()}
        if moment > step.now:
            return Waiting(until=moment, data=facts)
        return Completed(facts) if moment == step.now else _without_moment(config.on_past, facts, "past_date")

    def resume(self, config: UntilConfig, step: StepContext, wakeup: Wakeup) -> Outcome:
        """Go on."""
        return Completed(step.wait)


def _without_moment(choice: str, facts: JSON, reason: str) -> Outcome:
    match choice:
        case "exit":
            return Completed({**facts, "reason": reason}, ends=True, reason=reason)
        case "fail":
            return Failed("the path of this wait holds no date", code=reason, retryable=False)
        case "continue" if reason == "past_date":
            return Completed(facts)
        case _:
            return Completed({**facts, "status": "skipped", "reason": reason})
