"""Local time: zones, times of day, and which moment a wall clock means across daylight-saving changes."""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

MAX_ZONE = 64
_TIME = re.compile(TIME_PATTERN, re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+)*", re.ASCII)


@lru_cache(maxsize=1_024)
def zone_of(name: Any) -> ZoneInfo | None:
    """Give the zone of an IANA name such as `Europe/Berlin`, or None when there is none."""
    if not isinstance(name, str) or len(name) > MAX_ZONE or not _ZONE.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # also a directory of the database, such as "Europe"
        return None


def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """
    Give the moment, in UTC, at which clocks in `zone` show this day and time.

    A time that a clock change skips means the first valid instant after the gap; one that comes twice means the first.
    """
    wall = datetime.combine(day, at)
    earlier, later = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if earlier.astimezone(zone).replace(tzinfo=None) == wall:
        return earlier
    return _transition(later, earlier, zone)


def next_occurrence(
    now: datetime, at: time, zone: ZoneInfo, *, days: frozenset[int], not_after: time | None
) -> datetime:
    """
    Give the next moment at which it is `at` on one of the weekdays (Monday is 0), no earlier than now.

    Between `at` and `not_after` of such a day that is now; without `not_after`, only `at` itself counts.
    """
    today = now.astimezone(zone).date()
    for offset in range(9):
        day = today + timedelta(days=offset)
        if day.weekday() not in days:
            continue
        opens = instant(day, at, zone)
        if opens >= now:
            return opens
        if not_after is not None and now <= instant(day, not_after, zone):
            return now
    raise AssertionError  # nine days hold every weekday, with one to spare for today's having passed


def parse_time(text: object) -> time:
    """Read `"09:30"`."""
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError('write a time of day as hours and minutes, such as "09:30"')
    return time.fromisoformat(text)


def _transition(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    # The clock jumps between these two moments; to the second, because zones of long ago changed at odd ones.
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
    return high


def _accept_time(value: Any) -> time:
    return value if isinstance(value, time) else parse_time(value)


def _require_zone(name: str) -> str:
    if zone_of(name) is None:
        raise ValueError(f'"{name}" is no time zone; write one such as "Europe/Berlin"')
    return name


LocalTime = Annotated[
    time,
    BeforeValidator(_accept_time, json_schema_input_type=str),
    PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str),
    WithJsonSchema({"type": "string", "format": "kalcifer-time", "pattern": TIME_PATTERN, "examples": ["09:30"]}),
]
ZoneName = Annotated[
    str,
    AfterValidator(_require_zone),
    WithJsonSchema({"type": "string", "format": "kalcifer-timezone", "examples": ["Europe/Berlin"]}),
]
