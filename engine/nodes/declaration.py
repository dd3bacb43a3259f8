"""What a class must declare to be a node type, and how that reads in the catalogue."""

import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

from pydantic import BaseModel

from engine.nodes import config
from engine.nodes.base import Category, Need, Node, RunsAs
from engine.nodes.errors import InvalidNodeType

MAX_NAME = 64
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_ALWAYS_INLINE = (Category.TRIGGER, Category.WAIT, Category.END)


def check(cls: Any) -> None:
    """Raise InvalidNodeType, with all that is to be changed, unless the class is a complete node type."""
    if not (isinstance(cls, type) and issubclass(cls, Node)):
        raise InvalidNodeType(f"{cls!r} is no node type: it must be a class derived from engine.nodes.base.Node")
    if faults := list(_faults(cls)):
        raise InvalidNodeType(f"{cls.__module__}.{cls.__qualname__} is no node type: {'; '.join(faults)}")


def describe(node: Node) -> dict[str, Any]:
    """Give the catalogue's entry of a node type."""
    return {
        "type": node.type,
        "category": str(node.category),
        "title": node.title or node.type.replace("_", " ").capitalize(),
        "description": node.description or (type(node).__doc__ or "").strip().split("\n\n")[0],
        "branches": list(node.branches),
        "runs_as": str(node.runs_as),
        "config_schema": config.schema(node.Config),
        "result_schema": node.result_schema,
    }


def _faults(cls: Any) -> Iterator[str]:
    name = getattr(cls, "type", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        yield "`type` must be a snake_case name of at most 64 characters"
    if not isinstance(cls.category, Category):
        yield f"`category` must be one of {', '.join(f'Category.{item.name}' for item in Category)}"
    if not isinstance(cls.runs_as, RunsAs):
        yield "`runs_as` must be RunsAs.INLINE or RunsAs.ACTIVITY"
    elif cls.category in _ALWAYS_INLINE and cls.runs_as is not RunsAs.INLINE:
        yield f"a {cls.category} must say `runs_as = RunsAs.INLINE`"
    if not _is_tuple_of(cls.branches, str) or len(set(cls.branches)) != len(cls.branches):
        yield "`branches` must be a tuple of different names"
    if not _is_tuple_of(cls.needs, Need):
        yield "`needs` must be a tuple of Need"
    if cls.execute is Node.execute:
        yield "it must define `execute(self, config, step)`"
    if not (isinstance(cls.Config, type) and (issubclass(cls.Config, BaseModel) or is_dataclass(cls.Config))):
        yield "`Config` must be a NodeConfig or a dataclass"


def _is_tuple_of(value: Any, kind: type) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, kind) for item in value)
