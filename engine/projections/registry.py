"""The projections that this process can run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import iscoroutinefunction, isgeneratorfunction
from typing import Final

from engine.errors import InvalidProjection, UnknownProjection
from engine.projections.projection import Projection

LONGEST_NAME: Final = 128
STARTS: Final = ("beginning", "head")

_registered: dict[str, Projection] = {}


def register(projection: Projection | type[Projection]) -> Projection:
    """Have this process run a projection; the same name again replaces one of the same class."""
    wanted = projection() if isinstance(projection, type) else projection
    _check(wanted)
    if type(known := _registered.get(wanted.name, wanted)) is not type(wanted):
        raise InvalidProjection(f"{wanted.name} is the name of {type(known).__qualname__} already.")
    _registered[wanted.name] = wanted
    return wanted


def unregister(name: str) -> None:
    """Have this process run it no longer; its checkpoint stays where it is."""
    _registered.pop(name, None)


def get(name: str) -> Projection:
    """Give the projection of this name."""
    if name not in _registered:
        raise UnknownProjection(f"No projection is called {name!r}; there are: {', '.join(names()) or 'none'}.")
    return _registered[name]


def names() -> list[str]:
    """Name them all."""
    return sorted(_registered)


@contextmanager
def preserved() -> Iterator[None]:
    """Forget what is registered inside, and remember what was forgotten there: for tests."""
    known = dict(_registered)
    try:
        yield
    finally:
        _registered.clear()
        _registered.update(known)


# Each of these would let events pass as read that nobody has seen, or none at all.
def _check(wanted: Projection) -> None:
    if not wanted.name or len(wanted.name) > LONGEST_NAME or "\0" in wanted.name:
        raise InvalidProjection(f"A projection needs a name of at most {LONGEST_NAME} characters.")
    for name in ("types", "aggregate_types"):
        if isinstance(value := getattr(wanted, name), str):
            raise InvalidProjection(f'{wanted.name}: {name} is a list of texts, ("{value}",), not a text.')
    if iscoroutinefunction(wanted.project) or isgeneratorfunction(wanted.project):
        raise InvalidProjection(f"{wanted.name}: project is synchronous; nobody would await it.")
    if wanted.batch < 1:
        raise InvalidProjection(f"{wanted.name}: a batch has one event at least.")
    if wanted.starts not in STARTS:
        raise InvalidProjection(f"{wanted.name}: it starts at the beginning or at the head, not at {wanted.starts!r}.")
