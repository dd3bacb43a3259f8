"""Actions and compensations by name: what another process can find again, and what it cannot."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import MethodType
from typing import Any, Final

# No module has such a name: what stands below it lives in the process that registered it, and nowhere else.
PROCESS: Final = "<process>"
MAIN: Final = "__main__"

Call = Callable[..., Any]


class NotFound(Exception):
    """An address leads to nothing that can be called."""


def address_of(function: Call) -> str:
    """
    Give `module:qualname` where that leads any process to this very object, else the same below `<process>:`.

    A function of the program's main file is not found by others: their main file is another one.
    """
    module = getattr(function, "__module__", None) or type(function).__module__
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    found = _walk(sys.modules.get(module), name)
    # A class method is another object at each look, and equal all the same.
    if module != MAIN and (found is function or (isinstance(function, MethodType) and found == function)):
        return f"{module}:{name}"
    return f"{PROCESS}:{module}.{name}"


def is_importable(address: str) -> bool:
    """Tell whether the address is one that other processes can follow; `find` says whether it leads anywhere."""
    return not address.startswith(f"{PROCESS}:")


def find(address: str) -> Call:
    """Import what stands at an address; raise NotFound with the reason when it leads nowhere."""
    module, _, name = address.partition(":")
    if not is_importable(address):
        raise NotFound(f"{name} lives in the process that registered the saga.")
    try:
        found = _walk(import_module(module), name)
    except Exception as error:
        raise NotFound(f"{address} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise NotFound(f"{address} is not there, or cannot be called.")
    return found  # type: ignore[no-any-return]  # callable() says no more than that


def is_async(function: Call) -> bool:
    """Tell whether calling it gives a coroutine: a function, a method, a partial of one, an object with such a call."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  # not a test for callable


def _walk(module: Any, name: str) -> Any:
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
