"""References: `{"ref": path}` inside any JSON, with a `default` for when the path is missing."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from engine.expressions.paths import MISSING, InvalidPath, compile_path
from engine.expressions.scope import Scope
from engine.moments import iso

Value = Callable[[Scope], Any]


def is_reference(raw: Any) -> bool:
    """Tell whether this JSON stands for a value elsewhere: an object with `ref`, and at most `default` beside it."""
    return isinstance(raw, dict) and "ref" in raw and isinstance(raw["ref"], str) and raw.keys() <= {"ref", "default"}


def compile_value(raw: Any) -> Value | None:
    """
    Compile JSON with references into a function of the scope; None when it holds no reference and so stands for itself.

    Raise InvalidPath when a reference is not a path.
    """
    if is_reference(raw):
        read, default = compile_path(raw["ref"]).read, raw.get("default", MISSING)
        return lambda scope: default if (value := read(scope)) is MISSING else value
    if isinstance(raw, list):
        items = [(item, compile_value(item)) for item in raw]
        return _list_of(items) if any(value for _, value in items) else None
    if isinstance(raw, dict):
        fields = [(key, item, compile_value(item)) for key, item in raw.items()]
        return _object_of(fields) if any(value for _, _, value in fields) else None
    return None


def resolve(raw: Any, scope: Scope) -> Any:
    """Give `raw` with its references replaced by JSON values; what is missing becomes None, an invalid path too."""
    if is_reference(raw):
        try:
            value = compile_path(raw["ref"]).read(scope)
        except InvalidPath:
            value = MISSING
        return as_json(raw.get("default") if value is MISSING else value)
    if isinstance(raw, list):
        return [resolve(item, scope) for item in raw]
    if isinstance(raw, dict):
        return {key: resolve(item, scope) for key, item in raw.items()}
    return raw


def as_json(value: Any) -> Any:
    """Write moments as ISO 8601 text in UTC; everything else is JSON already."""
    return iso(value.astimezone(UTC)) if isinstance(value, datetime) else value


def referenced_paths(raw: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Give every path that rules and references in `raw` read, each after its place: ("all.0.path", "entry.x")."""
    if isinstance(raw, dict):
        for key in ("ref", "path"):
            if isinstance(raw.get(key), str) and (
                (key == "path" and "op" in raw) or (key == "ref" and is_reference(raw))
            ):
                yield f"{at}{key}", raw[key]
        for key, item in raw.items():
            yield from referenced_paths(item, f"{at}{key}.")
    elif isinstance(raw, list):
        for index, item in enumerate(raw):
            yield from referenced_paths(item, f"{at}{index}.")


def _list_of(items: list[tuple[Any, Value | None]]) -> Value:
    return lambda scope: [item if value is None else value(scope) for item, value in items]


def _object_of(fields: list[tuple[str, Any, Value | None]]) -> Value:
    return lambda scope: {key: item if value is None else value(scope) for key, item, value in fields}
