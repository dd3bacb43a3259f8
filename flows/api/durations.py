"""Durations as the API writes them: `30s 15m 12h 3d 2w`."""

import re
from datetime import timedelta
from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
WRITTEN: Final = re.compile(r"([0-9]{1,6})([smhdw])")


@extend_schema_field(OpenApiTypes.STR)
class DurationField(serializers.Field[timedelta, Any, str, Any]):
    """An integer and a unit."""

    default_error_messages = {"invalid": "A duration is a whole number and a unit: 30s 15m 12h 3d 2w."}

    def to_internal_value(self, data: Any) -> timedelta:
        """Read it."""
        written = WRITTEN.fullmatch(data) if isinstance(data, str) else None
        if written is None:
            self.fail("invalid")
        return timedelta(**{UNITS[written[2]]: int(written[1])})

    def to_representation(self, value: timedelta) -> str:
        """Write it in seconds."""
        return f"{int(value.total_seconds())}s"
