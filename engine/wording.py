"""Times and numbers as an operator reads them."""

from datetime import UTC, datetime


def moment(at: datetime | None) -> str:
    """Write a moment: `2030-01-04 12:00 UTC`, with seconds where there are any."""
    if at is None:
        return "an unknown time"
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at.second else f"{at:%Y-%m-%d %H:%M} UTC"


def ago(since: datetime, now: datetime) -> str:
    """Write how long something has lasted, in its largest unit."""
    seconds = max(0, int((now - since).total_seconds()))
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return spoken(seconds // length, unit)
    return spoken(seconds, "second")


def spoken(count: int, thing: str) -> str:
    """Write a number with its thing: `1 attempt`, `3 attempts`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
