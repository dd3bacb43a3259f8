"""Cursor pagination by keyset: stable while rows come and go, and as fast on the last page as on the first."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from tenants.errors import Invalid, InvalidCursor, Problem

PARAMETERS: Final = frozenset(("cursor", "page_size"))
DEFAULT_SIZE: Final = 50
MAX_SIZE: Final = 500


@dataclass(frozen=True, slots=True)
class Cursor:
    """The row to go on from, in which direction, and of which list."""

    values: tuple[Any, ...] = ()
    backwards: bool = False
    of: str = ""

    def encode(self) -> str:
        """The opaque text that stands in URLs."""
        packed = orjson.dumps([self.backwards, self.of, *self.values], str)
        return urlsafe_b64encode(packed).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, queryset: QuerySet[Any], columns: list[str]) -> "Cursor":
        """The cursor of a text that a client sent."""
        try:
            backwards, of, *values = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            fields = [queryset.model._meta.get_field(name) for name in columns]  # noqa: SLF001
            cleaned = tuple(field.to_python(value) for field, value in zip(fields, values, strict=True))
        except (ValueError, TypeError, binascii.Error, ValidationError, OverflowError):
            raise InvalidCursor(attr="cursor") from None
        sane = (
            type(backwards) is bool
            and of == list_of(queryset, columns)
            and all(type(value) in (str, int, float) for value in values)
        )
        if not sane or any("\0" in value for value in values if isinstance(value, str)):
            raise InvalidCursor(attr="cursor")
        return cls(cleaned, backwards, of)


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a page, and the cursors of its neighbours."""

    rows: list[Any]
    following: Cursor | None
    preceding: Cursor | None


def page_size(text: str | None) -> int:
    """The `page_size` parameter, or its default."""
    if text is None:
        return DEFAULT_SIZE
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MAX_SIZE:
        raise Invalid([Problem("invalid", f"page_size is a whole number from 1 to {MAX_SIZE}.", "page_size")])
    return int(text)


def cut(
    queryset: QuerySet[Any], *, ordering: tuple[str, ...], size: int, cursor: str | None, parts: Sequence[Q] = ()
) -> Page:
    """One page of the queryset.

    `ordering` names columns that are together unique and never null, all ascending or all descending (`-id`). `parts`
    are conditions of which a row has to meet one: each part is read by itself, so that each finds its own index.
    """
    descending = ordering[0].startswith("-")
    columns = [name.removeprefix("-") for name in ordering]
    of = list_of(queryset, columns)
    at = Cursor.decode(cursor, queryset, columns) if cursor is not None else Cursor()
    upwards = descending == at.backwards
    if at.values:
        queryset = queryset.filter(_beyond(columns, at.values, upwards=upwards))
    order = [name if upwards else f"-{name}" for name in columns]
    found = list(_first(queryset.order_by(*order), parts, size + 1))
    more, rows = len(found) > size, found[:size]
    if at.backwards:
        rows.reverse()
    if not rows:
        return Page([], None, None)
    onwards, back = (True, more) if at.backwards else (more, bool(at.values))
    return Page(
        rows,
        Cursor(_position(rows[-1], columns), of=of) if onwards else None,
        Cursor(_position(rows[0], columns), backwards=True, of=of) if back else None,
    )


def _first(queryset: QuerySet[Any], parts: Sequence[Q], many: int) -> QuerySet[Any]:
    if len(parts) < 2:  # noqa: PLR2004  # nothing to merge
        return queryset.filter(*parts)[:many]
    firsts = [queryset.filter(part).values("pk")[:many] for part in parts]
    return queryset.filter(pk__in=firsts[0].union(*firsts[1:], all=True))[:many]


def list_of(queryset: QuerySet[Any], columns: list[str]) -> str:
    """Name a list by its rows and their order: a cursor of another one has no place in it."""
    return ":".join([queryset.model._meta.db_table, *columns])  # noqa: SLF001


def link(request: HttpRequest, cursor: Cursor | None) -> str | None:
    """The URL of the page at a cursor, with the other parameters as they are."""
    if cursor is None:
        return None
    parameters = {**request.GET.dict(), "cursor": cursor.encode()}
    return request.build_absolute_uri(f"{request.path}?{urlencode(parameters)}")


def _beyond(columns: list[str], values: tuple[Any, ...], *, upwards: bool) -> Q:
    # (a, b) > (x, y) written out: a > x or (a = x and b > y).
    compare = "gt" if upwards else "lt"
    found = Q()
    for place, (name, value) in enumerate(zip(columns, values, strict=True)):
        equal = dict(zip(columns[:place], values[:place], strict=True))
        found |= Q(**equal, **{f"{name}__{compare}": value})
    return found


def _position(row: Model | dict[str, Any], columns: list[str]) -> tuple[Any, ...]:
    return tuple(row[name] if isinstance(row, dict) else getattr(row, name) for name in columns)
