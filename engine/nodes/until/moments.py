"""Which moment, and by which clock, a `wait_until` means for one participant."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from engine.expressions import as_moment, compile_path
from engine.nodes.context import StepContext
from engine.nodes.local_time import DAYS, instant, next_occurrence, zone_of
from engine.nodes.until.config import UntilConfig

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class ChosenZone:
    """A zone, and why it is another than the one asked for."""

    zone: ZoneInfo
    note: str = ""

    def facts(self) -> dict[str, Any]:
        """What the timeline shows of it."""
        return {"timezone": self.zone.key} | ({"timezone_note": self.note} if self.note else {})


def zone_for(config: UntilConfig, step: StepContext) -> ChosenZone:
    """Give the zone to reckon by; one that is missing or invalid is replaced by the default, with a note."""
    fallback = zone_of(step.default_timezone) or _UTC
    if config.timezone is None:
        return ChosenZone(fallback)
    if config.timezone != "participant":
        zone = zone_of(config.timezone)
        return ChosenZone(zone) if zone else ChosenZone(fallback, f'default; "{config.timezone}" invalid')
    own = step.resolve({"ref": "participant.timezone"})
    if zone := zone_of(own) if isinstance(own, str) else None:
        return ChosenZone(zone)
    return ChosenZone(
        fallback, f'default; participant value "{own}" invalid' if own else "default; participant has none"
    )


def moment_of(config: UntilConfig, step: StepContext, zone: ZoneInfo) -> datetime | None:
    """Give the moment in UTC, or None when the field holds no date."""
    try:
        match config.way:
            case "fixed":
                return _read(config.datetime, zone)
            case "from_field":
                return _from_field(config, step, zone)
            case _:
                days = frozenset(map(DAYS.index, config.days))
                at = config.time or time()
                return next_occurrence(step.now, at, zone, days=days, not_after=config.not_after)
    except OverflowError:  # a year that the calendar does not have
        return None


def _from_field(config: UntilConfig, step: StepContext, zone: ZoneInfo) -> datetime | None:
    moment = _read(compile_path(config.path or "").read(step.scope()), zone)
    if moment is None:
        return None
    if config.time is None:
        return moment if config.offset is None else moment + config.offset
    day = moment.astimezone(zone).date()
    return instant(day if config.offset is None else day + config.offset, config.time, zone)


def _read(value: Any, zone: ZoneInfo) -> datetime | None:
    # What names no offset of its own is read by the clock of the zone, a bare date as its midnight.
    moment = as_moment(value)
    if moment is None or not isinstance(value, str):
        return moment
    written = datetime.fromisoformat(value)
    if written.tzinfo is not None:
        return written.astimezone(UTC)
    return instant(date(written.year, written.month, written.day), written.time(), zone)
