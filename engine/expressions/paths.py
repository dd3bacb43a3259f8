"""Paths: where in a scope a value stands."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from engine.expressions.scope import Scope

ROOTS: Final = ("entry", "event", "participant", "nodes", "run", "now", "result")
MAX_LENGTH: Final = 500


class _Missing:
    """The value of a path that leads nowhere; unlike None, which is a value."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


class InvalidPath(ValueError):
    """The text is not a path."""


class Path:
    """A compiled path: `read(scope)` gives its value or MISSING, and never raises."""

    __slots__ = ("parts", "read", "root", "text")

    def __init__(self, text: str) -> None:
        """Compile, or raise InvalidPath."""
        self.text = text
        self.root, *rest = text.split(".")
        self.parts = tuple(rest)
        if self.root not in ROOTS:
            raise InvalidPath(f'"{text}" starts at none of {", ".join(ROOTS)}')
        if len(text) > MAX_LENGTH or any(not part for part in rest):
            raise InvalidPath(f'"{text[:80]}" has an empty part or is longer than {MAX_LENGTH} characters')
        if self.root == "now" and rest:
            raise InvalidPath('"now" has no parts')
        if self.root == "nodes" and not rest:
            raise InvalidPath('"nodes" needs the id of a node')
        self.read: Callable[[Scope], Any] = _reader(self.root, self.parts)


@lru_cache(maxsize=4_096)
def compile_path(text: str) -> Path:
    """Give the compiled path of a text, or raise InvalidPath."""
    return Path(text)


def _descend(value: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        if isinstance(value, Mapping):
            value = value.get(part, MISSING)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def _reader(root: str, parts: tuple[str, ...]) -> Callable[[Scope], Any]:
    match root:
        case "entry":
            return lambda scope: _descend(scope.entry, parts)
        case "event" | "result":
            return lambda scope: MISSING if (known := getattr(scope, root)) is None else _descend(known, parts)
        case "run":
            return lambda scope: _descend(scope.run, parts)
        case "now":
            return lambda scope: MISSING if scope.now is None else scope.now
        case "participant":
            return lambda scope: _read_participant(scope.participant, parts)
        case _:
            return lambda scope: _read_node(scope, parts)


def _read_participant(participant: Mapping[str, Any] | None, parts: tuple[str, ...]) -> Any:
    # A column first, then a property of that name; `attributes` is another name of the properties.
    if participant is None:
        return MISSING
    if not parts or parts[0] in participant:
        return _descend(participant, parts)
    properties = participant.get("properties", MISSING)
    return _descend(properties, parts[1:] if parts[0] == "attributes" else parts)


def _read_node(scope: Scope, parts: tuple[str, ...]) -> Any:
    # An id may hold dots itself, so the longest beginning that names a node which has run counts.
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        node_id = scope.aliases.get(name, name)
        if node_id in scope.accumulated or node_id in scope.outcomes:
            return _read_result(scope, node_id, parts[length:])
    return MISSING


def _read_result(scope: Scope, node_id: str, parts: tuple[str, ...]) -> Any:
    value: Any
    result = scope.accumulated.get(node_id)
    if not isinstance(result, Mapping):
        result = {}
    if not parts:
        return {"status": "completed", **result, "branch": scope.outcomes.get(node_id)}
    match parts[0]:
        case "delivery" if node_id in scope.deliveries:
            value = scope.deliveries[node_id]
        case name if name in result:
            value = result[name]
        case "status":
            value = "completed"
        case "branch":
            value = scope.outcomes.get(node_id)
        case "event" if node_id in scope.node_events:
            value = scope.node_events[node_id]
        case _:
            return MISSING
    return _descend(value, parts[1:])
