"""What this process has subscribed durably: handlers with an address, by tenant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock

from engine import tenancy
from engine.bus import patterns
from engine.bus.handlers import Handler
from engine.event_store.events import Event
from engine.patience import Retry


@dataclass(frozen=True, slots=True)
class Subscription:
    """
    A handler that is to be called with each event that the pattern means; two are the same by these two.

    `timeout` is in seconds, and for each attempt.
    """

    pattern: str
    handler: Handler
    retry: Retry = field(compare=False)
    timeout: float = field(compare=False)
    address: str | None = field(default=None, compare=False)

    def wants(self, event: Event) -> bool:
        """Whether the event is meant."""
        return patterns.matches(self.pattern, event.type)


class Subscriptions:
    """Subscriptions in the order in which they were made. Readers see a whole set, whoever changes it meanwhile."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._all: tuple[Subscription, ...] = ()

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._all)

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, wanted: Subscription) -> None:
        """Add one; of two that are the same the first stays."""
        with self._guard:
            if wanted not in self._all:
                self._all += (wanted,)

    def remove(self, pattern: str, handler: Handler) -> Subscription | None:
        """Remove one, and give it if it was there."""
        with self._guard:
            found = next((each for each in self._all if (each.pattern, each.handler) == (pattern, handler)), None)
            self._all = tuple(each for each in self._all if each is not found)
            return found

    def wanting(self, event: Event) -> list[Subscription]:
        """Give one subscription per handler that wants the event."""
        found: dict[Handler, Subscription] = {}
        for each in self._all:
            if each.wants(event):
                found.setdefault(each.handler, each)
        return list(found.values())


_of_tenant: dict[str, Subscriptions] = {}


def of(tenant_key: str) -> Subscriptions:
    """Give the durable subscriptions that this process has made for a tenant."""
    return _of_tenant.setdefault(tenant_key, Subscriptions())


def known_for(tenant_id: str) -> list[Subscriptions]:
    """Give those of a tenant's id, whichever way the tenant was named."""
    named = _of_tenant.get(tenant_id)
    default = _of_tenant.get("")
    found = [named] if named else []
    if default and default is not named and tenancy.default_id() == tenant_id:
        found.append(default)
    return found


def matches(tenant_id: str, events: Iterable[Event]) -> list[tuple[Event, Subscription]]:
    """Give who is to be called with what, in the order of the events; a handler once per event."""
    known = known_for(tenant_id)
    return [pair for event in events for pair in _matches(known, event)] if known else []


def of_address(address: str) -> Sequence[tuple[str, Subscription]]:
    """Give what this process has subscribed for a handler, with the key of the tenant."""
    return [(key, each) for key, theirs in [*_of_tenant.items()] for each in theirs if each.address == address]


def _matches(known: Sequence[Subscriptions], event: Event) -> list[tuple[Event, Subscription]]:
    found: dict[str, Subscription] = {}
    for subscriptions in known:
        for each in subscriptions.wanting(event):
            found.setdefault(str(each.address), each)
    return [(event, each) for each in found.values()]
