"""Which node types there are: the built-in ones, those of installed packages, and those registered at run time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any, TypeVar

import structlog

from engine import nodes, plugins
from engine.nodes import config, declaration
from engine.nodes.base import Node
from engine.nodes.errors import ConfigProblem, DuplicateNodeType, InvalidConfig, UnknownNodeType

N = TypeVar("N", bound=Node)

GROUP = "kalcifer.nodes"
PACKAGES = ("trigger", "condition", "wait", "action", "end")

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """An installed package whose node types could not be loaded, and why."""

    name: str
    module: str
    reason: str


_types: dict[str, Node] = {}
_broken: list[BrokenPlugin] = []
_loader = plugins.Loader([f"{nodes.__name__}.{package}" for package in PACKAGES], GROUP)


def node(cls: type[N]) -> type[N]:
    """Register a node type; for use as a decorator."""
    register(cls)
    return cls


def register(cls: type[Node]) -> None:
    """Add a node type to this process; raise InvalidNodeType or DuplicateNodeType, naming what to change."""
    load()
    declaration.check(cls)
    with _loader.lock:
        if known := _types.get(cls.type):
            names = f"{_full_name(type(known))} and {_full_name(cls)}"
            raise DuplicateNodeType(f'node type "{cls.type}" is registered twice: by {names}')
        _types[cls.type] = cls()


def unregister(type_: str) -> None:
    """Remove a node type from this process; for tests and for plug-ins that go."""
    load()
    _types.pop(type_, None)


def get(type_: str) -> Node:
    """Give a node type, or raise UnknownNodeType."""
    load()
    try:
        return _types[type_]
    except KeyError:
        raise UnknownNodeType(type_) from None


def all() -> list[Node]:  # noqa: A001 - reads registry.all()
    """Give every node type, by category and name."""
    load()
    order = list(PACKAGES)
    return sorted(_types.values(), key=lambda item: (order.index(item.category), item.type))


def broken() -> list[BrokenPlugin]:
    """Give the installed packages that could not be loaded."""
    load()
    return list(_broken)


def parse_config(type_: str, raw: Any) -> Any:
    """Give a node's typed config; raise InvalidConfig with every problem, or UnknownNodeType."""
    known = get(type_)
    parsed = config.parse(known.Config, raw)
    if messages := known.validate(parsed):
        raise InvalidConfig([ConfigProblem("", message) for message in messages])
    return parsed


def catalogue() -> list[dict[str, Any]]:
    """Give what there is to know about every node type, as JSON."""
    return [declaration.describe(item) for item in all()]


@contextmanager
def preserved() -> Iterator[None]:
    """Undo, at the end, what was registered and unregistered meanwhile; for tests."""
    load()
    with plugins.preserved(_types):
        yield


def load() -> None:
    """Load the built-in types and the installed ones, once; the first look-up does it anyway."""
    _loader.load(_load_plugin)


def _load_plugin(entry_point: EntryPoint) -> None:
    # One broken package must not keep the others, or the product, from starting.
    try:
        for cls in plugins.classes_of(entry_point):
            if isinstance(cls, type) and type(_types.get(getattr(cls, "type", ""))) is not cls:
                register(cls)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        _broken.append(BrokenPlugin(entry_point.name, entry_point.value, reason))
        logger.exception("node_plugin.broken", plugin=entry_point.name, module=entry_point.value)


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
