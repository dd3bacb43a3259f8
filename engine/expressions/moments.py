"""Moments in JSON: ISO 8601 text, or a datetime that the engine put there."""

from datetime import UTC, datetime
from typing import Any, Final

_SHORTEST: Final = len("2026-06-17")


def as_moment(value: Any) -> datetime | None:
    """Read a moment, or None when it is none; text without an offset, or a bare date, is taken as UTC."""
    if isinstance(value, str):
        # fromisoformat reads "20240101" and "2024-W01" too; a plain number of eight digits is no date to a marketer.
        if len(value) < _SHORTEST or value[4] != "-" or value[7] != "-":
            return None
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
