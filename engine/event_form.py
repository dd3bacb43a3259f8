"""What an event from outside has to look like; its types are never guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tenants.errors import Invalid, Problem

JSON = dict[str, Any]

MAX_LENGTH: Final = 255
REQUIRED: Final = ("participant_id", "event_type")
FIELDS: Final = frozenset((*REQUIRED, "data", "event_id", "occurred_at"))
# Senders' clocks are wrong by a little; an event from further ahead happened when it came.
AHEAD: Final = timedelta(minutes=5)

_NEEDED: Final = "This field is required."
_TEXT: Final = f"This has to be a text of 1 to {MAX_LENGTH} characters."
_OBJECT: Final = "This has to be an object."
_MOMENT: Final = "This has to be a time with its zone, such as 2030-01-31T12:00:00Z."


@dataclass(slots=True)
class Incoming:
    """An event as its sender tells it; without an id it gets one, without a time it happened when it came."""

    participant_id: str
    event_type: str
    data: JSON
    event_id: str | None = None
    occurred_at: datetime | None = None
    source: str = "api"
    flow_id: str | None = None
    entry_node: str = ""
    causation_depth: int = 0
    correlation_id: str = ""


def read(raw: Any) -> Incoming:
    """Give the event in a JSON value, or raise Invalid with everything that is wrong with it."""
    # The way of nearly every event; what is off it is looked at again, slowly, to say why.
    if raw.__class__ is dict and FIELDS.issuperset(raw):
        get: Callable[..., Any] = raw.get
        participant_id, event_type, data = get("participant_id"), get("event_type"), get("data", _MISSING)
        event_id, occurred_at = get("event_id", _MISSING), get("occurred_at", _MISSING)
        if (
            is_name(participant_id)
            and is_name(event_type)
            and (data is _MISSING or data.__class__ is dict)
            and (event_id is _MISSING or is_name(event_id))
        ):
            moment = None if occurred_at is _MISSING else moment_of(occurred_at)
            if moment is not None or occurred_at is _MISSING:
                return Incoming(
                    participant_id,
                    event_type,
                    data if data is not _MISSING else {},
                    None if event_id is _MISSING else event_id,
                    moment,
                )
    raise Invalid(list(_problems(raw)))


def is_name(value: Any) -> bool:
    """Tell whether a value serves as an id or a type: a text that is not blank and not too long."""
    return value.__class__ is str and 0 < len(value) <= MAX_LENGTH and not value.isspace()


def moment_of(value: Any) -> datetime | None:
    """Give the moment of an ISO 8601 time with a zone, in UTC; None for anything else."""
    if value.__class__ is not str:
        return None
    try:
        found = datetime.fromisoformat(value)
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def name_problem(value: Any, attr: str) -> Problem:
    """Say why a value is no name."""
    if not isinstance(value, str):
        return Problem("invalid", _TEXT, attr)
    return Problem("max_length" if len(value) > MAX_LENGTH else "blank", _TEXT, attr)


def _problems(raw: Any) -> Iterator[Problem]:
    if not isinstance(raw, dict):
        yield Problem("invalid", "An event has to be a JSON object.")
        return
    for name in raw:
        if name not in FIELDS:
            yield Problem("unknown_field", f"There is no field {name!r} here.", name)
    for name in REQUIRED:
        if name not in raw:
            yield Problem("required", _NEEDED, name)
    for name in (*REQUIRED, "event_id"):
        if name in raw and not is_name(raw[name]):
            yield name_problem(raw[name], name)
    if "data" in raw and not isinstance(raw["data"], dict):
        yield Problem("not_a_dict", _OBJECT, "data")
    if "occurred_at" in raw and moment_of(raw["occurred_at"]) is None:
        yield Problem("datetime", _MOMENT, "occurred_at")


class _Missing:
    pass


_MISSING: Final[Any] = _Missing()
