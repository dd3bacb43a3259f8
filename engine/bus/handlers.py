"""
What handles events: functions of one event, found again in another process by their address.

An address is the name a handler is registered under, or `module:qualname` where that leads back to the same object. A
handler without one, a closure, belongs to its process.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from engine import callables
from engine.errors import InvalidSubscription
from engine.event_store.events import Event

Handler = Callable[[Event], Any]

MAX_ADDRESS = 255

_named: dict[str, Handler] = {}


class UnknownHandler(LookupError):
    """Nothing is registered, or can be imported, under this address."""


def register(name: str, handler: Handler) -> None:
    """Let `handler` be found under a name, in every process that registers it; a name has one handler."""
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name.strip()) <= MAX_ADDRESS or ":" in name:
        raise InvalidSubscription(
            f"A handler's name is a text of 1 to {MAX_ADDRESS} characters without a colon.", attr="name"
        )
    check(handler)
    known = _named.get(name)
    # The same lines may be run twice, by a reload.
    if known is not None and known is not handler and _place_of(known) != _place_of(handler):
        raise InvalidSubscription(f"The name {name!r} belongs to {_place_of(known)} already.", attr="name")
    _named[name] = handler


def check(handler: Any) -> None:
    """Raise InvalidSubscription for what cannot be called with one event."""
    if not callable(handler) or getattr(type(handler), "__hash__", None) is None:
        raise InvalidSubscription(f"A handler is a function of one event, not {handler!r}.", attr="handler")
    try:
        inspect.signature(handler).bind(None)
    except TypeError as problem:
        raise InvalidSubscription(f"A handler is called with one event: {problem}.", attr="handler") from None
    except ValueError:
        # Something built in, which does not tell its arguments.
        return


def address_of(handler: Handler) -> str | None:
    """Give the address under which any process finds this very object; None for a closure."""
    for name, known in _named.items():
        if known is handler:
            return name
    address = callables.address_of(handler)
    return address if callables.is_importable(address) and len(address) <= MAX_ADDRESS else None


def find(address: str) -> Handler:
    """Give the handler of an address; UnknownHandler where this process has none."""
    if ":" in address:
        return _import(address)
    try:
        return _named[address]
    except KeyError:
        raise UnknownHandler(f"No handler is registered as {address!r} in this process.") from None


# A failure is not remembered: the next deployment may bring the module.
@lru_cache(maxsize=1024)
def _import(address: str) -> Handler:
    try:
        return callables.find(address)
    except callables.NotFound as problem:
        raise UnknownHandler(f"{problem}") from problem


def _place_of(handler: Handler) -> str:
    return f"{getattr(handler, '__module__', '')}:{getattr(handler, '__qualname__', handler)}"
