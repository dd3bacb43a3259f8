"""JSON from outside: read fast, and refused where PostgreSQL or a reader of the answer would choke on it."""

import json
from typing import Any, Final

import orjson

from tenants.errors import DuplicateName, InvalidJson, InvalidString, NumberOutOfRange, TooDeep

MAX_DEPTH: Final = 64
_CONTAINERS: Final = frozenset((dict, list))
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER: Final = b"0" * 19
_MIN, _MAX = -(2**63), 2**63 - 1


def loads(raw: bytes) -> Any:
    """The value of `raw`; raises an `InvalidInput` that says what to do for anything that cannot be kept as it is.

    orjson refuses NaN, invalid UTF-8 and lone surrogates itself. The rest is looked for in the raw bytes, and only a
    suspicious body pays for a closer look.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _explain(error) from None
    names = _measure(value)
    if raw.count(b'":') != names:
        json.loads(raw, object_pairs_hook=_refuse_duplicates)
    if _LONG_NUMBER in raw.translate(_DIGITS_TO_ZERO):
        json.loads(raw, parse_int=_refuse_huge)
    if rb"\u0000" in raw:
        refuse_nul(value)
    return value


def _measure(value: Any) -> int:
    # Counts the names of all objects and refuses what is too deep, level by level: recursion would cost twice as much.
    level: list[Any] = [value] if value.__class__ in _CONTAINERS else []
    names = depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise TooDeep
        below: list[Any] = []
        for container in level:
            if container.__class__ is dict:
                names += len(container)
                container = container.values()  # noqa: PLW2901  # the hot path of every batch
            for item in container:
                if item.__class__ in _CONTAINERS:
                    below.append(item)  # noqa: PERF401  # the hot path of every batch
        level = below
    return names


def refuse_nul(value: Any, path: str = "") -> None:
    """Raise `InvalidString` with the path of the first text that holds a NUL character."""
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidString(
                "A text contains the character NUL (U+0000), which cannot be stored.", attr=path or None
            )
    elif isinstance(value, dict):
        for name, item in value.items():
            below = f"{path}.{name}" if path else name
            refuse_nul(name, below.replace("\0", ""))
            refuse_nul(item, below)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            refuse_nul(item, f"{path}.{index}" if path else str(index))


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        name = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # the idiom
        raise DuplicateName(f"An object names the field {name!r} twice.", attr=name)
    return found


def _refuse_huge(digits: str) -> int:
    # Very long digit strings are refused by their length: int() of them is quadratic, and raises from 4,300 digits on.
    if len(digits) > 20 or not _MIN <= int(digits) <= _MAX:  # noqa: PLR2004  # "-9223372036854775808" has 20 characters
        raise NumberOutOfRange(f"The number {digits[:30]} has more than 64 bits; send it as a string.")
    return 0


def _explain(error: orjson.JSONDecodeError) -> Exception:
    text = str(error)
    where = f"line {error.lineno}, column {error.colno}"
    if "depth limit" in text or "recursion" in text:
        return TooDeep()
    if "low surrogate" in text or "high surrogate" in text:
        return InvalidString(f"A text contains half of a surrogate pair at {where}.")
    if "UTF-8" in text and "BOM" not in text:
        return InvalidJson("The body is not valid UTF-8.")
    if "infinity" in text:
        return NumberOutOfRange(f"The number at {where} is larger than a double can hold.")
    return InvalidJson(f"The body is not valid JSON: {text.partition(': line')[0]} at {where}.")
