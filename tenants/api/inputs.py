"""Turns what a client sent into what a view works with: strict about types, and no field is swallowed."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.fields import Field

from tenants import errors
from tenants.errors import Invalid, Problem

# A type that JSON has is not guessed from another: "5" is no number, 5 no text, "yes" no truth value.
STRICT: tuple[tuple[type[Field[Any, Any, Any, Any]], tuple[type, ...], str], ...] = (
    (serializers.BooleanField, (bool,), "This has to be true or false."),
    (serializers.IntegerField, (int,), "This has to be a whole number."),
    (serializers.FloatField, (int, float), "This has to be a number."),
    (serializers.CharField, (str,), "This has to be a text."),
    (serializers.UUIDField, (str,), "This has to be an id: a UUID, as a text."),
)


def parse(
    serializer_class: type[serializers.BaseSerializer[Any]], value: Any, *, prefix: str = "", strict: bool = True
) -> Any:
    """The validated value, or `Invalid` with every problem; their paths start with `prefix`."""
    if value is None:
        raise Invalid([Problem("invalid", "A value is needed here, not null.", prefix or None)])
    serializer = serializer_class(data=value)
    problems = list(_strange(serializer, value, prefix, strict=strict))
    blamed = {problem.attr for problem in problems}
    if not serializer.is_valid():
        problems += [problem for problem in flatten(serializer.errors, prefix) if problem.attr not in blamed]
    if problems:
        raise Invalid(problems)
    return serializer.validated_data


@cache
def names_of(serializer_class: type[serializers.Serializer[Any]]) -> frozenset[str]:
    """The names of a serializer's fields."""
    return frozenset(serializer_class().fields)


def parse_query(serializer_class: type[serializers.Serializer[Any]], query: QueryDict) -> dict[str, Any]:
    """The validated filters of a list; those that were not sent are missing."""
    sent = {name: query[name] for name in names_of(serializer_class) if name in query}
    return dict(parse(serializer_class, sent, strict=False))


def check_query(query: QueryDict, known: frozenset[str]) -> None:
    """Refuse parameters that the view does not have, that come twice, or that hold NUL characters."""
    for name, values in query.lists():
        if "\0" in name or any("\0" in value for value in values):
            raise errors.InvalidString(
                "A query parameter contains the character NUL (U+0000).", attr=name.replace("\0", "") or None
            )
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise errors.UnknownParameter(f"There is no query parameter {name!r}; known are: {names}.", attr=name)
        if len(values) > 1:
            raise errors.RepeatedParameter(attr=name)


def flatten(detail: Any, path: str = "") -> Iterator[Problem]:
    """The problems in REST framework's nested errors, with their paths."""
    if isinstance(detail, Mapping):
        for name, below in detail.items():
            yield from flatten(below, path if name == "non_field_errors" else _join(path, name))
    elif isinstance(detail, (list, tuple)):
        # A list holds either messages about this place or, one per item, the errors of its items.
        for index, below in enumerate(detail):
            yield from flatten(below, _join(path, index) if isinstance(below, (Mapping, list)) else path)
    else:
        yield Problem(getattr(detail, "code", "invalid"), str(detail), path or None)


def _strange(field: Field[Any, Any, Any, Any], value: Any, path: str, *, strict: bool) -> Iterator[Problem]:
    # Unknown fields and values of a wrong type, at every depth that serializers describe.
    if isinstance(field, serializers.ListSerializer | serializers.ListField):
        if isinstance(value, list) and field.child is not None:
            for index, item in enumerate(value):
                yield from _strange(field.child, item, _join(path, index), strict=strict)
    elif isinstance(field, serializers.Serializer):
        if isinstance(value, dict):
            yield from _strange_below(field, value, path, strict=strict)
    elif strict and value is not None:
        for kind, types, detail in STRICT:
            if isinstance(field, kind) and (type(value) not in types):
                yield Problem("invalid", detail, path or None)


def _strange_below(
    field: serializers.Serializer[Any], value: dict[str, Any], path: str, *, strict: bool
) -> Iterator[Problem]:
    for name, item in value.items():
        below = field.fields.get(name)
        if below is None or below.read_only:
            yield Problem("unknown_field", f"There is no field {name!r} here.", _join(path, name))
        else:
            yield from _strange(below, item, _join(path, name), strict=strict)


def _join(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)
