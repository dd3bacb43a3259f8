"""What `wait_until` may be told."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from engine.expressions import as_moment, compile_path
from engine.nodes.base import NodeConfig, Notice
from engine.nodes.duration import Offset
from engine.nodes.local_time import LocalTime, ZoneName

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _path(text: str) -> str:
    compile_path(text)
    return text


def _moment(text: str) -> str:
    if as_moment(text) is None:
        raise ValueError(
            'write a date and time such as "2026-12-24T09:00:00+01:00"; without an offset, the zone decides'
        )
    return text


class UntilConfig(NodeConfig):
    """The moment, in one of three modes, and what happens when there is none to wait for."""

    mode: Literal["fixed", "from_field", "next_local_time"] | None = Field(
        None, description="How the moment is found; without it, `datetime` means fixed and `path` from_field."
    )
    datetime: Annotated[str, AfterValidator(_moment)] | None = Field(
        None, description="For fixed: a date and time, ISO 8601."
    )
    path: Annotated[str, AfterValidator(_path)] | None = Field(
        None, description="For from_field: where the date stands, such as entry.trial_ends_at."
    )
    offset: Offset | None = Field(None, description='For from_field: so much later, or earlier, such as "-2d".')
    time: LocalTime | None = Field(
        None,
        description="For next_local_time: the time of day. For from_field: the time on that day.",
    )
    days: Annotated[tuple[Day, ...], Field(min_length=1)] = Field(
        ("mon", "tue", "wed", "thu", "fri", "sat", "sun"), description="For next_local_time: the weekdays that count."
    )
    not_after: LocalTime | None = Field(
        None, description="For next_local_time: go on at once between `time` and this; later, wait for the next day."
    )
    timezone: Literal["participant"] | ZoneName | None = Field(
        None, description="A zone, or participant for the participant's own; else the flow's, else the tenant's."
    )
    on_past: Literal["continue", "exit", "skip"] = Field(
        "continue", description="When the moment is past: go on, end the run, or go on with the status skipped."
    )
    on_missing: Literal["exit", "continue", "fail"] = Field(
        "exit", description="When the field holds no date: end the run, go on with the status skipped, or fail."
    )

    @property
    def way(self) -> str:
        """The mode, also when it was left to be understood; empty when it cannot be."""
        if self.mode is not None:
            return self.mode
        return "fixed" if self.datetime else "from_field" if self.path else ""

    def paths(self) -> list[tuple[str, str]]:
        """The paths read, each after its place."""
        found = [] if self.path is None else [("path", self.path)]
        return [*found, ("timezone", "participant.timezone")] if self.timezone == "participant" else found

    def notices(self, now: dt.datetime) -> list[Notice]:
        """Say so when a fixed moment is past."""
        moment = as_moment(self.datetime)
        if moment is None or moment > now:
            return []
        return [Notice("past_date", "datetime", "this moment is past; nobody will wait for it")]

    def contradictions(self) -> list[str]:
        """What a mode lacks, and what does not go together."""
        needed = {"fixed": "datetime", "from_field": "path", "next_local_time": "time"}.get(self.way)
        if needed is None:
            return ["give a datetime, a path, or a mode"]
        found = [] if getattr(self, needed) is not None else [f'mode "{self.way}" needs a {needed}']
        if self.offset is not None and self.way != "from_field":
            found.append("an offset goes with a path only")
        if self.offset is not None and self.time is not None and self.offset % dt.timedelta(days=1):
            found.append('with a time, the offset must be in days or weeks, such as "-2d"')
        if self.not_after is not None and (self.time is None or self.not_after <= self.time):
            found.append("not_after must be later in the day than time")
        return found
