"""Which providers there are: the built-in ones, those of installed packages, and those registered at run time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from typing import Any, Final, TypeVar

import structlog

from engine import plugins
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


_providers: dict[str, Provider] = {}
_loader = plugins.Loader([BUILT_IN], GROUP)


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
    with _loader.lock:
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
    with plugins.preserved(_providers):
        yield


def load() -> None:
    """Load the built-in providers and the installed ones, once; the first look-up does it anyway."""
    _loader.load(_load_plugin)


def _load_plugin(entry_point: EntryPoint) -> None:
    # One broken package must not keep the others, or the product, from starting.
    try:
        for cls in plugins.classes_of(entry_point):
            register(cls)
    except Exception:
        log.exception("provider_plugin.broken", plugin=entry_point.name, module=entry_point.value)
