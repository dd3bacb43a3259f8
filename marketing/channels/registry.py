"""Which providers there are: the built-in ones, those of installed packages, and those registered at run time."""

from __future__ import annotations

import pkgutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal, TypeVar

import structlog

from engine.nodes import config
from marketing.channels.provider import Provider
from marketing.models import CHANNELS

GROUP: Final = "kalcifer.providers"
BUILT_IN: Final = "marketing.channels.providers"
DECLARED: Final = ("name", "title", "channels", "takes_keys", "Config", "Credentials", "send_many", "read_callback")

P = TypeVar("P", bound=type)

log = structlog.get_logger(__name__)


class UnknownProvider(LookupError):
    """No provider of this name is registered."""


class InvalidProvider(TypeError):
    """The class cannot be a provider, or its name is taken; the message says what to change."""


@dataclass(slots=True)
class _Loading:
    # Others wait while one thread loads; the providers being loaded come through `load` themselves.
    lock: threading.RLock = field(default_factory=threading.RLock)
    state: Literal["empty", "loading", "loaded"] = "empty"


_providers: dict[str, Provider] = {}
_loading = _Loading()


def provider(cls: P) -> P:
    """Register a provider; for use as a decorator."""
    register(cls)
    return cls


def register(cls: type[Any]) -> None:
    """Add a provider to this process; raise InvalidProvider, which says what to change."""
    load()
    if missing := [name for name in DECLARED if not hasattr(cls, name)]:
        raise InvalidProvider(f"the provider {cls.__qualname__} lacks {', '.join(missing)}")
    if strange := sorted(set(cls.channels) - set(CHANNELS)):
        raise InvalidProvider(f"the provider {cls.name!r} names unknown channels: {', '.join(strange)}")
    with _loading.lock:
        known = _providers.get(cls.name)
        if known is not None and type(known) is not cls:
            raise InvalidProvider(f"the provider {cls.name!r} is registered twice: {type(known)!r} and {cls!r}")
        _providers[cls.name] = known or cls()


def get(name: str) -> Provider:
    """Give a provider, or raise UnknownProvider."""
    load()
    try:
        return _providers[name]
    except KeyError:
        raise UnknownProvider(f"no provider {name!r} is registered") from None


def all() -> list[Provider]:  # noqa: A001 - reads registry.all()
    """Give every provider, by name."""
    load()
    return [_providers[name] for name in sorted(_providers)]


def describe(known: Provider) -> dict[str, Any]:
    """Give what a form needs to set up an account with a provider."""
    return {
        "name": known.name,
        "title": known.title,
        "channels": sorted(known.channels),
        "config_schema": config.schema(known.Config),
        "credentials_schema": config.schema(known.Credentials),
    }


@contextmanager
def preserved() -> Iterator[None]:
    """Undo, at the end, what was registered meanwhile; for tests."""
    load()
    before = dict(_providers)
    try:
        yield
    finally:
        _providers.clear()
        _providers.update(before)


def load() -> None:
    """Load the built-in providers and the installed ones, once; the first look-up does it anyway."""
    if _loading.state == "loaded":
        return
    with _loading.lock:
        if _loading.state != "empty":
            return
        _loading.state = "loading"
        package = import_module(BUILT_IN)
        for found in pkgutil.walk_packages(package.__path__, f"{BUILT_IN}."):
            import_module(found.name)
        for entry_point in entry_points(group=GROUP):
            _load_plugin(entry_point)
        _loading.state = "loaded"


def _load_plugin(entry_point: EntryPoint) -> None:
    # One broken package must not keep the others, or the product, from starting.
    try:
        loaded = entry_point.load()
        for cls in loaded if isinstance(loaded, list | tuple) else [loaded]:
            register(cls)
    except Exception:
        log.exception("provider_plugin.broken", plugin=entry_point.name, module=entry_point.value)
