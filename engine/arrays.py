"""Lists of texts as parameters of statements, written at once."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.abc import Buffer, DumperKey, PyFormat
from psycopg.types.array import BaseListDumper, ListDumper


class TextsDumper(ListDumper):
    """
    As psycopg's own, which asks every element anew for its type: for ids that costs more than their statement does.

    Lists that begin with something else than a text are psycopg's.
    """

    def get_key(self, obj: list[Any], format: PyFormat) -> DumperKey:  # noqa: A002  # psycopg's name
        """Tell lists of texts from others."""
        return (self.cls, str) if _begins_with_text(obj) else super().get_key(obj, format)

    def upgrade(self, obj: list[Any], format: PyFormat) -> BaseListDumper:  # noqa: A002  # psycopg's name
        """Be the dumper of texts oneself."""
        return self if _begins_with_text(obj) else super().upgrade(obj, format)

    def dump(self, obj: list[Any]) -> Buffer | None:
        """Write the literal of an array; the statement says of what."""
        if not _begins_with_text(obj):
            return super().dump(obj)
        try:
            text = '","'.join(obj)
        except TypeError:
            return super().dump(obj)
        if "\\" in text or text.count('"') > 2 * (len(obj) - 1):
            text = '","'.join([each.replace("\\", "\\\\").replace('"', '\\"') for each in obj])
        if "\0" in text:
            raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        return f'{{"{text}"}}'.encode()


def _begins_with_text(obj: list[Any]) -> bool:
    return bool(obj) and type(obj[0]) is str
