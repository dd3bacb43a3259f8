"""What a config reads: the paths of its rules and references, each with its place."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel, RootModel

from engine.expressions import Rule, referenced_paths
from engine.expressions.references import is_reference

Read = tuple[str, str]


def paths_in(config: Any, at: str = "") -> Iterator[Read]:
    """Give (place, path) for all that a typed config reads; JSON that merely looks like a rule is none."""
    if isinstance(config, Rule):
        for place, path in referenced_paths(config.raw):
            yield _join(at, place), path
    elif isinstance(config, RootModel):
        yield from paths_in(config.root, at)
    elif isinstance(config, dict) and is_reference(config):
        yield _join(at, "ref"), config["ref"]
    else:
        for key, item in _parts(config):
            yield from paths_in(item, _join(at, key))


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield field.alias or name, getattr(value, name)
    elif is_dataclass(value):
        for part in fields(value):
            yield part.name, getattr(value, part.name)
    elif isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield str(index), item


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at and key else at or key
