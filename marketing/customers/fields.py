"""What a profile may hold: columns with a form of their own, and properties for everything else."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from engine.nodes.local_time import zone_of

JSON = dict[str, Any]

COLUMNS: Final = ("email", "phone", "name", "timezone", "locale")
MAX_LENGTH: Final = {"email": 320, "phone": 32, "name": 255, "timezone": 64, "locale": 35}
MAX_TAG: Final = 64
MAX_TAGS: Final = 500
MAX_PROPERTIES: Final = 100_000

_EMAIL = re.compile(r"[^@\s,;<>()\[\]\\\"]{1,64}@(?:[^@\s,;<>.]{1,63}\.)+[^@\s,;<>.]{2,63}")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_FILLING = re.compile(r"[\s().\-/]+")
_LOCALE = re.compile(r"([A-Za-z]{2,3})(-[A-Za-z]{4})?(-(?:[A-Za-z]{2}|[0-9]{3}))?((?:-[A-Za-z0-9]{4,8})*)", re.ASCII)

EXPECTED: Final = {
    "email": "This is no e-mail address.",
    "phone": "Write a number with its country: +4915112345678.",
    "name": "This has at most 255 characters.",
    "timezone": "This is no time zone; write one such as Europe/Berlin.",
    "locale": "This is no language; write one such as de or de-AT.",
}


def settled(column: str, value: Any) -> str | None:
    """Give a column's value in its one form, or None where it is none: `+49 (151) 123` is `+49151123`."""
    if not isinstance(value, str) or "\0" in value:
        return None
    text = value.strip()
    if not text:
        return ""
    if len(text) > MAX_LENGTH[column]:
        return None
    return _FORMS[column](text)


def put(profile: JSON, path: str, value: Any) -> None:
    """
    Set one value by its dotted path, in place; null takes it away.

    What a column cannot hold stays in the properties as it was given, and the column is empty: no journey fails of it.
    """
    first, _, rest = path.partition(".")
    if first in {"attributes", "properties"} and rest:
        _put_below(profile["properties"], rest.split("."), value)
    elif first in COLUMNS and not rest:
        _put_column(profile, first, value)
    else:
        _put_below(profile["properties"], path.split("."), value)


def merged(properties: JSON, patch: Mapping[str, Any]) -> JSON:
    """Give properties with a JSON merge patch (RFC 7396) applied: objects merge, null takes away."""
    found = dict(properties)
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, dict):
            below = found.get(name)
            found[name] = merged(below if isinstance(below, dict) else {}, value)
        else:
            found[name] = value
    return found


def with_tags(tags: list[str], add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> list[str]:
    """Give tags as a set would hold them, in the order in which they came."""
    return list(dict.fromkeys(tag for tag in (*tags, *add) if tag not in remove))


def is_too_large(properties: JSON) -> bool:
    """Whether properties are larger than a profile may be."""
    return len(orjson.dumps(properties)) > MAX_PROPERTIES


def _put_column(profile: JSON, column: str, value: Any) -> None:
    good = "" if value is None else settled(column, value)
    profile[column] = good or ""
    if good is None:
        profile["properties"][column] = value
    else:
        profile["properties"].pop(column, None)


def _put_below(properties: JSON, parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        below = properties.get(part)
        if not isinstance(below, dict):
            if value is None:
                return
            below = properties[part] = {}
        properties = below
    if value is None:
        properties.pop(parts[-1], None)
    else:
        properties[parts[-1]] = value


def _email(text: str) -> str | None:
    return text if _EMAIL.fullmatch(text) else None


def _phone(text: str) -> str | None:
    number = _FILLING.sub("", text)
    return number if _PHONE.fullmatch(number) else None


def _locale(text: str) -> str | None:
    found = _LOCALE.fullmatch(text.replace("_", "-"))
    if found is None:
        return None
    language, script, region, rest = found.groups(default="")
    return f"{language.lower()}{script.title()}{region.upper()}{rest.lower()}"


_FORMS: Final[dict[str, Callable[[str], str | None]]] = {
    "email": _email,
    "phone": _phone,
    "name": str,
    "timezone": lambda text: text if zone_of(text) else None,
    "locale": _locale,
}
