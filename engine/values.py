"""What the log can keep of results, arguments and errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

JSON = dict[str, Any]

# A NUL as orjson writes it: an escape that is not itself escaped.
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_PLAIN: Final = (bool, int, type(None))
MAX_DETAIL: Final = 2_000


class NotJson(ValueError):
    """The value cannot be kept: only JSON, and what has one form in it (times, UUIDs, data classes, enums), can."""


def kept(value: Any) -> Any:
    """
    Give the value as it will be read from the log: tuples as lists, times and ids as text.

    Callers are given this one at once, so that a saga that is resumed sees what the first run saw. Raises NotJson.
    """
    if value.__class__ in _PLAIN and -(2**53) < (value or 0) < 2**53:
        return value
    try:
        text = orjson.dumps(value)
        if b"null" in text:
            # orjson writes NaN and infinity as null.
            json.dumps(value, default=str, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJson(f"{type(value).__name__} cannot be kept as JSON: {error}. Give a name or an id of it.") from None
    if b"\\u0000" in text and _NUL.search(text):
        raise NotJson("The value holds the character NUL, which cannot be stored.")
    return orjson.loads(text)


def kept_exactly(value: Sequence[Any] | Mapping[str, Any]) -> Any:
    """Give arguments as JSON where that is exactly what they are, else None: nobody else may call with a look-alike."""
    plain = dict(value) if isinstance(value, Mapping) else list(value)
    try:
        found = kept(plain)
    except NotJson:
        return None
    return found if _is_same(found, plain) else None


def error_of(error: BaseException) -> JSON:
    """Give `{code, detail}` of what a callable raised: the name of its class, and what it says."""
    return {"code": type(error).__name__[:128], "detail": storable(words_of(error) or type(error).__name__)}


def words_of(error: BaseException) -> str:
    """Give what an error says; nothing where even that raises."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error that cannot be told is recorded by its name
        return ""


def storable(text: str, longest: int = MAX_DETAIL) -> str:
    """Give a text without what PostgreSQL cannot store (NUL, halves of surrogate pairs), and not longer than so."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()[:longest]


# Equal, and of the same types all the way down: an enum equals its text, and a tuple is no list.
def _is_same(left: Any, right: Any) -> bool:
    if left.__class__ is not right.__class__:
        return False
    if left.__class__ is dict:
        return left.keys() == right.keys() and all(_is_same(left[name], right[name]) for name in left)
    if left.__class__ is list:
        return len(left) == len(right) and all(map(_is_same, left, right))
    return bool(left == right)
