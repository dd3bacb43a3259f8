"""A state that is a dataclass, as JSON and back: every field by its name, times as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar, get_args, get_type_hints

Record = TypeVar("Record")


class OtherFields(ValueError):
    """The JSON has other fields than the state: it was made by other code."""


def times_of(kind: type) -> frozenset[str]:
    """Name the fields that hold times."""
    hints = get_type_hints(kind)
    return frozenset(name for name, hint in hints.items() if datetime in (hint, *get_args(hint)))


def dump(record: Any, times: frozenset[str]) -> dict[str, Any]:
    """Give the fields of a record; what they hold is shared, not copied."""
    found = {each.name: getattr(record, each.name) for each in fields(record)}
    for name in times:
        if found[name] is not None:
            found[name] = found[name].isoformat()
    return found


def load(kind: type[Record], times: frozenset[str], found: Mapping[str, Any]) -> Record:
    """Make the record again; raise OtherFields where one is missing or unknown."""
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # a dataclass, says the docstring
    if known != found.keys():
        raise OtherFields(", ".join(sorted(known ^ found.keys())))
    made = {
        name: datetime.fromisoformat(value) if name in times and value is not None else value
        for name, value in found.items()
    }
    return kind(**made)
