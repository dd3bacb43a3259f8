"""Events that are about to be recorded: looked at closely, and written as they will be stored."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import structlog
import uuid_utils

from engine.errors import InvalidEvent
from engine.event_store import upcasters
from engine.event_store.addresses import Address, is_text
from engine.event_store.events import Event
from engine.saga_context import current_saga_id

JSON = dict[str, Any]

TYPE_LENGTH: Final = 64
DEPTH: Final = 200
LEAST, GREATEST = -(2**63), 2**64 - 1
LAST_VERSION: Final = 2**15 - 1
NUL: Final = "\\u0000"
PATH_SHOWN: Final = 80
# From here on a float is written with an exponent.
LONG_FLOAT: Final = 1e16

_EXPONENT = re.compile(r"\de\+?\d").search


@dataclass(slots=True)
class Draft:
    """An event as readers will see it, but for its place; and the texts that are stored."""

    event: Event
    version: int
    data: str
    metadata: str


@dataclass(slots=True)
class Common:
    """What the events of one call share: their moment, and metadata as an object and as its text."""

    at: datetime
    metadata: JSON
    text: str


def common_of(metadata: JSON | None, at: datetime) -> Common:
    """Give what the events of a call share; raise InvalidEvent for metadata that cannot be stored."""
    shared = _context() | _plain(metadata, "metadata")[0] if metadata else _context()
    return Common(at, shared, _text(shared))


def drafts_of(address: Address, events: Sequence[Event], common: Common, *, path: str = "events") -> list[Draft]:
    """Give what is to be recorded; raise InvalidEvent, which names the place, for what cannot be."""
    if isinstance(events, str) or not isinstance(events, Sequence):
        raise InvalidEvent(f"{path}: a list of events is needed, not {_kind(events)}.", attr=path)
    return [_draft(address, event, common, f"{path}.{number}") for number, event in enumerate(events)]


def _draft(address: Address, event: Event, common: Common, path: str) -> Draft:
    _check(event, path)
    data, text = _plain(event.data, f"{path}.data")
    metadata, metadata_text = dict(common.metadata), common.text
    if event.metadata:
        metadata |= _plain(event.metadata, f"{path}.metadata")[0]
        metadata_text = _text(metadata)
    version = event.schema_version or upcasters.newest_version(event.type, address.type)
    recorded = Event(
        event.type,
        data,
        0,
        common.at,
        metadata,
        version,
        str(uuid_utils.uuid7()),
        address.tenant_id,
        address.type,
        address.id,
    )
    return Draft(upcasters.to_newest(recorded), version, text, metadata_text)


# What the code that runs belongs to; what a caller says himself counts more.
def _context() -> JSON:
    bound = structlog.contextvars.get_contextvars()
    found = {
        "correlation_id": bound.get("correlation_id") or bound.get("request_id"),
        "task_id": bound.get("task_id"),
        "saga_id": current_saga_id.get(),
    }
    return {name: value for name, value in found.items() if value}


def _check(event: Event, path: str) -> None:
    if not isinstance(event, Event):
        raise InvalidEvent(f"{path}: an Event is needed, not {_kind(event)}.", attr=path)
    if not is_text(event.type, TYPE_LENGTH):
        raise InvalidEvent(
            f"{path}.type: the type of an event has to be a printable text of 1 to {TYPE_LENGTH} characters.",
            attr=f"{path}.type",
        )
    version = event.schema_version
    if version.__class__ is not int or not 0 <= version <= LAST_VERSION:
        raise InvalidEvent(
            f"{path}.schema_version: a whole number from 1 to {LAST_VERSION} is needed, or 0 for the newest.",
            attr=f"{path}.schema_version",
        )


# Gives the object as it will be read again, and its text. What differs from what was given is looked at closely: that
# costs nothing where nothing is wrong.
def _plain(value: Any, path: str) -> tuple[JSON, str]:
    if not isinstance(value, dict):
        raise InvalidEvent(f"{path}: an object is needed, not {_kind(value)}.", attr=path)
    try:
        raw = orjson.dumps(value)
    except TypeError as error:
        _refuse(value, path)
        raise InvalidEvent(f"{path}: this is no JSON: {error}.", attr=path) from error
    again: JSON = orjson.loads(raw)
    text = raw.decode()
    if again != value or NUL in text:
        _refuse(value, path)
    return again, _spelled_out(again) if _EXPONENT(text) else text


def _text(plain: JSON) -> str:
    text = orjson.dumps(plain).decode()
    return _spelled_out(plain) if _EXPONENT(text) else text


# PostgreSQL keeps 5.9e16 as a whole number of other digits, which is read as another number; 59000000000000000.0 stays.
def _spelled_out(plain: JSON) -> str:
    return orjson.dumps(_with_digits(plain)).decode()


def _with_digits(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_digits(below) for name, below in value.items()}
    if isinstance(value, list):
        return [_with_digits(below) for below in value]
    if isinstance(value, float) and abs(value) >= LONG_FLOAT:
        return orjson.Fragment(f"{value:.1f}")
    return value


def _refuse(value: Any, path: str) -> None:
    for blamed, reason in _strange(value, path, 0):
        raise InvalidEvent(f"{blamed}: {reason}.", attr=blamed)


def _strange(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > DEPTH:
        yield path[:PATH_SHOWN], "this is nested too deeply"
    elif isinstance(value, str):
        yield from ((path, reason) for reason in _strange_text(value))
    elif isinstance(value, dict):
        for name, below in value.items():
            yield from _strange_name(name, path)
            yield from _strange(below, f"{path}.{name}", depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, below in enumerate(value):
            yield from _strange(below, f"{path}.{index}", depth + 1)
    else:
        yield from ((path, reason) for reason in _strange_scalar(value))


def _strange_name(name: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(name, str):
        yield path, f"the names of an object are texts, and {name!r} is none"
    else:
        yield from ((path, f"in the name {name!a} of an object, {reason}") for reason in _strange_text(name))


def _strange_text(text: str) -> Iterator[str]:
    if "\0" in text:
        yield "the character NUL (U+0000) cannot be stored"
    try:
        text.encode()
    except UnicodeEncodeError:
        yield "half of a surrogate pair cannot be stored"


def _strange_scalar(value: Any) -> Iterator[str]:
    if isinstance(value, float):
        if not math.isfinite(value):
            yield f"{value!r} is no number that JSON knows"
    elif isinstance(value, int):
        if not LEAST <= value <= GREATEST:
            yield "a whole number of more than 64 bits; send it as a text"
    elif value is not None:
        yield f"{_kind(value)} is no JSON value; send it as a text or a number"


def _kind(value: Any) -> str:
    return type(value).__name__
