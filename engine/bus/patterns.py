"""Which types of events a subscription is for: one type, all of them, or all that begin alike."""

from __future__ import annotations

from typing import Final

from engine import event_form
from engine.errors import InvalidSubscription

ALL: Final = "*"


def check(pattern: object) -> str:
    """Give the pattern, or raise InvalidSubscription: a star stands at the end, or nowhere."""
    if not event_form.is_name(pattern):
        raise InvalidSubscription("An event type is a text of 1 to 255 characters.", attr="event_type")
    text = str(pattern)
    if ALL in text[:-1]:
        raise InvalidSubscription('A "*" stands at the end of an event type, or alone.', attr="event_type")
    return text


def matches(pattern: str, event_type: str) -> bool:
    """Whether events of a type are meant by a pattern."""
    if pattern.endswith(ALL):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def is_exact(pattern: str) -> bool:
    """Whether the pattern means one type only."""
    return not pattern.endswith(ALL)
