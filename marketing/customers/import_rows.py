"""From the lines of an upload to rows of customers, or to what is wrong with them."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from marketing.customers import fields
from tenants import jsontext
from tenants.errors import KalciferError

JSON = dict[str, Any]

MAX_RECORD: Final = 1024 * 1024
MAX_ID: Final = 255
KNOWN: Final = frozenset((*fields.COLUMNS, "external_id", "properties", "tags"))
NOT_IMPORTED: Final = frozenset(
    ("id", "state", "preferences", "created_at", "updated_at", "last_seen_at", "properties")
)

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_BOOLEANS: Final = {"true": True, "false": False}


class Unfit(Exception):
    """A record is no customer."""

    def __init__(self, code: str, detail: str) -> None:
        """Say what is wrong."""
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Row:
    """One customer as uploaded: columns that are not named stay as they are, `gone` names properties to take away."""

    line: int
    external_id: str
    columns: dict[str, str]
    properties: JSON
    gone: tuple[str, ...] = ()
    tags: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Bad:
    """One record that is no customer."""

    line: int
    code: str
    detail: str


def refused(names: Sequence[str]) -> list[str]:
    """Give the columns of a table that cannot be imported."""
    return [name for name in names if name in NOT_IMPORTED]


def untypable(types: Mapping[str, str], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give the columns whose type cannot be what is said, and why."""
    for name, kind in types.items():
        if name not in names:
            yield name, f"The table has no column {name!r}."
        elif name in KNOWN:
            yield name, f"{name} has a form of its own; only properties have a type."
        elif kind not in TYPES:
            yield name, f"A column is one of {', '.join(TYPES)}."


def read(
    content: bytes, first_line: int, *, form: str, header: Sequence[str], types: Mapping[str, str] | None = None
) -> Iterator[Row | Bad]:
    """Read every record of a chunk; `types` says which columns of a table are not text."""
    if form == "csv":
        return _read_csv(content, first_line, header, types or {})
    return _read_ndjson(content, first_line)


def _read_ndjson(content: bytes, first_line: int) -> Iterator[Row | Bad]:
    for line, text in enumerate(content.split(b"\n"), start=first_line):
        if not text.strip():
            continue
        try:
            yield _row(line, jsontext.loads(text))
        except Unfit as error:
            yield Bad(line, error.code, str(error))
        except KalciferError as error:
            yield Bad(line, error.code, error.detail)


def _read_csv(content: bytes, first_line: int, header: Sequence[str], types: Mapping[str, str]) -> Iterator[Row | Bad]:
    reader = csv.reader(io.StringIO(content.decode("utf-8", "replace"), newline=""))
    line = first_line
    while True:
        try:
            cells = next(reader, None)
            if cells is None:
                return
            if cells:
                yield _row(line, _record(cells, header, types))
        except Unfit as error:
            yield Bad(line, error.code, str(error))
        except csv.Error as error:
            yield Bad(line, "invalid_csv", f"This is no record: {error}.")
        line = first_line + reader.line_num


def _record(cells: Sequence[str], header: Sequence[str], types: Mapping[str, str]) -> JSON:
    if len(cells) > len(header):
        raise Unfit("invalid_csv", f"There are {len(cells)} values for {len(header)} columns.")
    if any("\0" in cell or "\ufffd" in cell for cell in cells):
        raise Unfit("invalid_string", "A value is no UTF-8, or holds the character NUL.")
    record: JSON = {}
    properties: JSON = {}
    for name, cell in zip(header, cells, strict=False):
        if not cell:
            continue
        if name == "tags":
            record["tags"] = [tag.strip() for tag in cell.split(";") if tag.strip()]
        elif name in KNOWN:
            record[name] = cell
        else:
            properties[name.removeprefix("properties.")] = _typed(name, cell, types)
    return {**record, "properties": properties}


def _typed(name: str, cell: str, types: Mapping[str, str]) -> Any:
    kind = types.get(name, "text")
    value = TYPES[kind](cell.strip()) if kind != "text" else cell
    if value is None:
        raise Unfit("invalid", f"{name}: This is no {kind}.")
    return value


# As JSON has it: whole numbers stay whole.
def _number(text: str) -> float | None:
    if _WHOLE.fullmatch(text):
        return int(text)
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def _boolean(text: str) -> bool | None:
    return _BOOLEANS.get(text.lower())


# What a column of a table may be, and what makes it of a cell; None where the cell is no such thing.
TYPES: Final[Mapping[str, Callable[[str], Any]]] = {"text": str, "number": _number, "boolean": _boolean}


def _row(line: int, record: Any) -> Row:
    if not isinstance(record, dict):
        raise Unfit("invalid", "A record is an object.")
    if strange := record.keys() - KNOWN:
        raise Unfit("unknown_field", f"There is no field {min(strange)!r} here.")
    external_id = record.get("external_id")
    if not isinstance(external_id, str) or not 0 < len(external_id) <= MAX_ID:
        raise Unfit("required", f"external_id is a text of 1 to {MAX_ID} characters.")
    given = record.get("properties") or {}
    if not isinstance(given, dict):
        raise Unfit("invalid", "properties is an object.")
    properties = {name: value for name, value in given.items() if value is not None}
    gone = [name for name, value in given.items() if value is None]
    columns = {name: _column(name, record[name], properties, gone) for name in fields.COLUMNS if name in record}
    if properties and len(orjson.dumps(properties)) > fields.MAX_PROPERTIES:
        raise Unfit("too_large", f"properties are at most {fields.MAX_PROPERTIES} bytes of JSON.")
    return Row(line, external_id, columns, properties, tuple(gone), _tags(record.get("tags") or []))


def _column(name: str, value: Any, properties: JSON, gone: list[str]) -> str:
    if value is None:
        return ""
    good = fields.settled(name, value)
    if good is not None:
        gone.append(name)
        return good
    if name != "timezone" or not isinstance(value, str):
        raise Unfit("invalid", f"{name}: {fields.EXPECTED[name]}")
    properties[name] = value
    return ""


def _tags(tags: Any) -> tuple[str, ...]:
    if not isinstance(tags, list) or len(tags) > fields.MAX_TAGS:
        raise Unfit("invalid", f"tags is a list of at most {fields.MAX_TAGS}.")
    if not all(isinstance(tag, str) and 0 < len(tag) <= fields.MAX_TAG for tag in tags):
        raise Unfit("invalid", f"A tag is a text of 1 to {fields.MAX_TAG} characters.")
    return tuple(dict.fromkeys(tags))
