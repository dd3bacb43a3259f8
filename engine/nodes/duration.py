"""Durations as people write them: an integer and a unit, `30s 15m 12h 3d 2w`."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

PATTERN = r"^[1-9][0-9]{0,9}[smhdw]$"
OFFSET_PATTERN = r"^-?[0-9]{1,10}[smhdw]$"
MAXIMUM = timedelta(days=3_653)

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_WRITTEN = re.compile(PATTERN, re.ASCII)
_OFFSET = re.compile(OFFSET_PATTERN, re.ASCII)


class InvalidDuration(ValueError):
    """The text is not a duration."""


def parse(text: object) -> timedelta:
    """Read `"3d"`: more than nothing and at most ten years, else InvalidDuration with a sentence for people."""
    if not isinstance(text, str) or not _WRITTEN.fullmatch(text):
        raise InvalidDuration(
            'write a duration as a whole number and a unit, such as "30s", "15m", "12h", "3d" or "2w"'
        )
    return _within_bounds(int(text[:-1]), text[-1])


def parse_offset(text: object) -> timedelta:
    """Read `"-2d"`, a duration that may be negative or zero."""
    if not isinstance(text, str) or not _OFFSET.fullmatch(text):
        raise InvalidDuration('write an offset as a whole number and a unit, such as "-2d" or "12h"')
    return _within_bounds(int(text[:-1]), text[-1])


def write(duration: timedelta) -> str:
    """Give the shortest text that `parse` reads back as the same duration, in whole seconds."""
    seconds = int(duration.total_seconds())
    for unit, length in _UNITS.items():
        step = int(length.total_seconds())
        if seconds % step == 0 and seconds:
            return f"{seconds // step}{unit}"
    return "0s"


def _within_bounds(count: int, unit: str) -> timedelta:
    # Compared as numbers, because a timedelta of a billion weeks cannot be built at all.
    if abs(count) > MAXIMUM // _UNITS[unit]:
        raise InvalidDuration("a duration may be ten years at most")
    return count * _UNITS[unit]


def _accept(value: Any) -> timedelta:
    return value if isinstance(value, timedelta) else parse(value)


def _accept_offset(value: Any) -> timedelta:
    return value if isinstance(value, timedelta) else parse_offset(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(_accept, json_schema_input_type=str),
    PlainSerializer(write, return_type=str),
    WithJsonSchema({"type": "string", "format": "kalcifer-duration", "pattern": PATTERN, "examples": ["15m", "3d"]}),
]
Offset = Annotated[
    timedelta,
    BeforeValidator(_accept_offset, json_schema_input_type=str),
    PlainSerializer(write, return_type=str),
    WithJsonSchema(
        {"type": "string", "format": "kalcifer-offset", "pattern": OFFSET_PATTERN, "examples": ["-2d", "12h"]}
    ),
]
