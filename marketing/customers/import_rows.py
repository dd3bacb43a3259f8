"""From the lines of an upload to rows of customers, or to what is wrong with them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
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


def read(content: bytes, first_line: int, *, form: str, header: Sequence[str]) -> Iterator[Row | Bad]:
    """Read every record of a chunk."""
    return _read_csv(content, first_line, header) if form == "csv" else _read_ndjson(content, first_line)


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


def _read_csv(content: bytes, first_line: int, header: Sequence[str]) -> Iterator[Row | Bad]:
    reader = csv.reader(io.StringIO(content.decode("utf-8", "replace"), newline=""))
    line = first_line
    while True:
        try:
            cells = next(reader, None)
            if cells is None:
                return
            if cells:
                yield _row(line, _record(cells, header))
        except Unfit as error:
            yield Bad(line, error.code, str(error))
        except csv.Error as error:
            yield Bad(line, "invalid_csv", f"This is no record: {error}.")
        line = first_line + reader.line_num


def _record(cells: Sequence[str], header: Sequence[str]) -> JSON:
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
            properties[name.removeprefix("properties.")] = cell
    return {**record, "properties": properties}


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
