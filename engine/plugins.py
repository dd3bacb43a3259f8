"""Modules that register what is in them: the built-in ones, and those of installed packages; loaded once."""

import pkgutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeVar

T = TypeVar("T")


class Loader:
    """
    Imports all modules below some packages, then takes the entry points of a group.

    `lock` also guards what is registered: others wait while one thread loads, and what is being loaded comes through
    `load` itself.
    """

    def __init__(self, packages: Sequence[str], group: str) -> None:
        self._packages, self._group = packages, group
        self._state: Literal["empty", "loading", "loaded"] = "empty"
        self.lock = threading.RLock()

    def load(self, take: Callable[[EntryPoint], None]) -> None:
        """Load, the first time; `take` does not raise."""
        if self._state == "loaded":
            return
        with self.lock:
            if self._state != "empty":
                return
            self._state = "loading"
            for package in self._packages:
                _import_tree(package)
            for entry_point in entry_points(group=self._group):
                take(entry_point)
            self._state = "loaded"


def classes_of(entry_point: EntryPoint) -> Sequence[Any]:
    """Import what an entry point names: one class, or a list of them."""
    loaded = entry_point.load()
    return loaded if isinstance(loaded, list | tuple) else [loaded]


@contextmanager
def preserved(known: dict[str, T]) -> Iterator[None]:
    """Undo, at the end, what was registered and unregistered meanwhile; for tests."""
    before = dict(known)
    try:
        yield
    finally:
        known.clear()
        known.update(before)


def _import_tree(package: str) -> None:
    module = import_module(package)
    for found in pkgutil.walk_packages(module.__path__, f"{package}."):
        import_module(found.name)
