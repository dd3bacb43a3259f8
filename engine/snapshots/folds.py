"""How the events of each type of aggregate are folded, and how its state becomes JSON and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engine import errors
from engine.event_store.events import Event

# As wide as the column.
TYPE_LENGTH = 32


def _as_it_is(state: Any) -> Any:
    return state


@dataclass(frozen=True, slots=True)
class Fold:
    """
    The fold of one type of aggregate.

    `initial` makes the state before the first event, a new one at each call; `apply` folds one event into it and gives
    the state. `dump` gives the state as plain JSON and `load` makes the state of it. `version` is raised with every
    change after which an older state would not be what the log says: snapshots of older versions are thrown away.
    """

    aggregate_type: str
    initial: Callable[[str], Any]
    apply: Callable[[Any, Event], Any]
    version: int = 1
    dump: Callable[[Any], Any] = _as_it_is
    load: Callable[[Any], Any] = _as_it_is


_folds: dict[str, Fold] = {}


def register(fold: Fold) -> None:
    """Make a fold known to this process; the last one of a type counts."""
    if not 0 < len(fold.aggregate_type) <= TYPE_LENGTH:
        raise errors.UnknownFold(f"The type of an aggregate has 1 to {TYPE_LENGTH} characters.")
    if fold.version < 1:
        raise errors.UnknownFold("The version of a fold counts from 1.")
    _folds[fold.aggregate_type] = fold


def get(aggregate_type: str) -> Fold:
    """Give the fold of a type; raise UnknownFold where none is registered."""
    try:
        return _folds[aggregate_type]
    except KeyError:
        raise errors.UnknownFold(f"No fold of “{aggregate_type}” is registered in this process.") from None


def types() -> list[str]:
    """Name every type that this process can fold."""
    return sorted(_folds)


@contextmanager
def preserved() -> Iterator[None]:
    """Undo, at the end of the block, what was registered in it; for tests."""
    before = dict(_folds)
    try:
        yield
    finally:
        _folds.clear()
        _folds.update(before)
