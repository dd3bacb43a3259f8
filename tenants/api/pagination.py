"""Cursor pagination by keyset: stable while rows come and go, and as fast on the last page as on the first."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import orjson
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.timezone import is_naive

from tenants.api.parts import Part, Sought, first
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
            if any(isinstance(value, datetime) and is_naive(value) for value in cleaned):
                raise InvalidCursor(attr="cursor")
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


def cut(  # noqa: PLR0913  # which rows, and which page of them
    queryset: QuerySet[Any],
    *,
    tenant: UUID,
    ordering: tuple[str, ...],
    size: int,
    cursor: str | None,
    parts: Sequence[Part] = (),
    sifted: Part | None = None,
) -> Page:
    """One page of the tenant's rows of the queryset.

    `ordering` names columns that are together unique and never null, all ascending or all descending (`-id`). The parts
    and what they are `sifted` from are those of `tenants.api.parts.first`; with them, what is asked for is in the parts
    and not in the queryset.
    """
    descending = ordering[0].startswith("-")
    columns = [name.removeprefix("-") for name in ordering]
    of = list_of(queryset, columns)
    at = Cursor.decode(cursor, queryset, columns) if cursor is not None else Cursor()
    sought = Sought(tenant, tuple(columns), descending == at.backwards, at.values, size + 1)
    found = first(queryset, sought, parts, sifted)
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


def list_of(queryset: QuerySet[Any], columns: list[str]) -> str:
    """Name a list by its rows and their order: a cursor of another one has no place in it."""
    return ":".join([queryset.model._meta.db_table, *columns])  # noqa: SLF001


def link(request: HttpRequest, cursor: Cursor | None) -> str | None:
    """The URL of the page at a cursor, with the other parameters as they are."""
    if cursor is None:
        return None
    parameters = {**request.GET.dict(), "cursor": cursor.encode()}
    return request.build_absolute_uri(f"{request.path}?{urlencode(parameters)}")


def _position(row: Model | dict[str, Any], columns: list[str]) -> tuple[Any, ...]:
    return tuple(row[name] if isinstance(row, dict) else getattr(row, name) for name in columns)
