"""Functions that flows may call by name, in `custom_code`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from django.utils.module_loading import autodiscover_modules

from engine import callables
from engine.errors import InvalidFunction

F = TypeVar("F", bound=Callable[..., Any])

MAX_NAME: Final = 128

_functions: dict[str, Callable[..., Any]] = {}
_discovering = threading.RLock()
_discovered: list[bool] = []


def flow_function(name: str) -> Callable[[F], F]:
    """
    Let flows call a function: `@flow_function("loyalty.points")` above it.

    It is called as `function(context, **args)` on an activity worker, at least once, outside of any transaction, and
    gives JSON. Put it into a module `flow_functions` of an installed app, where every process finds it.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidFunction(f"The name of a function is a text of 1 to {MAX_NAME} characters.", attr="name")

    def register(function: F) -> F:
        if callables.is_async(function):
            raise InvalidFunction(f"{name} is async; a function that flows call runs on a thread.", attr="name")
        known = _functions.get(name)
        if known is not None and callables.address_of(known) != callables.address_of(function):
            raise InvalidFunction(f"{name} is {callables.address_of(known)} already.", attr="name")
        _functions[name] = function
        return function

    return register


def forget(name: str) -> None:
    """Take a function out of this process; for tests."""
    _functions.pop(name, None)


class Functions:
    """The engine's FunctionLookup: what this process knows."""

    def find(self, name: str) -> Callable[..., Any] | None:
        """Give the function of this name, or None when there is none."""
        _discover()
        return _functions.get(name)


def existing(tenant_id: str, names: Sequence[str]) -> frozenset[str]:
    """Tell which of the functions there are; they are the same for every tenant."""
    _discover()
    return frozenset(names) & _functions.keys()


# Others wait while one thread imports: a name is not missing because its module is still being loaded.
def _discover() -> None:
    if _discovered:
        return
    with _discovering:
        if not _discovered:
            autodiscover_modules("flow_functions")
            _discovered.append(True)
