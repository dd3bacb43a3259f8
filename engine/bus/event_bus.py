"""The public face of the bus."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db import transaction

from engine import bridge, tenancy
from engine.bus import deliveries, feed, handlers, messages, patterns, subscriptions
from engine.bus.handlers import Handler
from engine.bus.local import Closures
from engine.bus.subscriptions import Subscription
from engine.errors import InvalidEvent, InvalidSubscription
from engine.event_store.events import Event
from engine.patience import Retry, is_seconds
from tenants.models import Tenant

AnyHandler = TypeVar("AnyHandler", bound=Callable[..., Any])

TIMEOUT_S: Final = 60.0
# Ten attempts in about nine minutes, before an operator is asked; a closure's process may end sooner than that.
DURABLE: Final = Retry(attempts=10, backoff_s=1.0, max_interval_s=900.0)
LOCAL: Final = Retry(attempts=5, backoff_s=0.1)

# Where an asynchronous publisher awaits; its closures are called there.
_publisher: Final[ContextVar[asyncio.AbstractEventLoop | None]] = ContextVar("publisher", default=None)


class EventBus:
    """
    Tells handlers what happened, after the commit of whoever said so, at least once, each with retries of its own.

    A handler that any process can import, or that is registered under a name, is durable: it is subscribed to the
    events of its tenant, whichever bus object they are published on, and is called on Celery workers. A closure hears
    what is published on this object, in this process. Without a tenant the bus is that of the tenant `default`.
    """

    def __init__(self, tenant: Tenant | UUID | str | None = None) -> None:
        self._tenant = tenancy.key_of(tenant)
        self._closures = Closures()

    def subscribe(
        self, event_type: str, handler: Handler, *, retry: Retry | None = None, timeout: float = TIMEOUT_S
    ) -> None:
        """
        Have `handler` called with each event of a type, of all types (`"*"`), or of those that begin so (`"paid:*"`).

        The same subscription twice is one. Subscribe durable handlers where every process does, in `AppConfig.ready`.
        Without a `retry` a durable handler is tried ten times in about nine minutes, a closure five times in a second;
        each attempt may take `timeout` seconds.
        """
        wanted = _subscription(patterns.check(event_type), handler, retry, timeout)
        if wanted.address is None:
            self._closures.add(wanted)
        else:
            subscriptions.of(self._tenant).add(wanted)
            feed.follow(wanted.address)

    def unsubscribe(self, event_type: str, handler: Handler) -> bool:
        """End a subscription; tell whether there was one. What is on its way already arrives."""
        pattern = patterns.check(event_type)
        if self._closures.remove(pattern, handler):
            return True
        removed = subscriptions.of(self._tenant).remove(pattern, handler)
        if removed is not None:
            feed.follow(str(removed.address))
        return removed is not None

    def handler(self, name: str) -> Callable[[AnyHandler], AnyHandler]:
        """Register the decorated function under a name, by which every process that registers it too can call it."""

        def register(function: AnyHandler) -> AnyHandler:
            handlers.register(name, function)
            return function

        return register

    def publish_sync(self, event: Event) -> Event:
        """
        Publish an event with the caller's transaction, where there is one; give it with its id.

        Handlers are called only after the commit, and never after a rollback. The same `event_id` counts once for each
        durable handler.
        """
        told = messages.addressed(event, tenancy.id_of(self._tenant))
        self._spread(told.tenant_id, [told])
        return told

    async def publish(self, event: Event) -> Event:
        """Publish an event; it is committed when this returns. Closures are called on the running loop."""
        before = _publisher.set(asyncio.get_running_loop())
        try:
            return await bridge.call(self.publish_sync, event)
        finally:
            _publisher.reset(before)

    def publish_many_sync(
        self, events: Sequence[Event], *, loop: asyncio.AbstractEventLoop | None = None
    ) -> Sequence[Event]:
        """Publish several events as `publish_sync` does, closures to `loop`; next to free where nobody listens."""
        tenant_id = tenancy.id_of(self._tenant)
        if not self._closures.subscriptions and not subscriptions.known_for(tenant_id):
            return events
        told = [messages.addressed(event, tenant_id) for event in events]
        before = _publisher.set(loop)
        try:
            self._spread(tenant_id, told)
        finally:
            _publisher.reset(before)
        return told

    def announce(self, events: Sequence[Event]) -> None:
        """Tell events that have just been recorded, in the transaction that records them; an EventStore calls this."""
        tenant_id = tenancy.id_of(self._tenant)
        if any(event.tenant_id != tenant_id for event in events):
            raise InvalidEvent("An event is of another tenant than the bus.", attr="tenant_id")
        self._spread(tenant_id, events)

    @property
    def tenant_id(self) -> str:
        """Whose events these are."""
        return tenancy.id_of(self._tenant)

    @property
    def dead_letters(self) -> int:
        """How many events closures of this object have failed at for good; those of durable handlers are parked."""
        return self._closures.dead_letters

    def drain_sync(self, timeout: float | None = None) -> None:
        """Wait until this object's closures have been called; TimeoutError when that takes too long."""
        if _is_on_a_loop():
            raise RuntimeError("drain_sync would hold up the loop that the closures run on: await drain().")
        done = threading.Event()
        self._closures.when_idle(done.set)
        if not done.wait(timeout):
            raise TimeoutError(f"Closures are still under way after {timeout} s.")

    async def drain(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the same as its synchronous twin's
        """Wait until this object's closures have been called; TimeoutError when that takes too long."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        self._closures.when_idle(lambda: _wake(loop, done))
        async with asyncio.timeout(timeout):
            await done.wait()

    def _spread(self, tenant_id: str, events: Sequence[Event]) -> None:
        matches = subscriptions.matches(tenant_id, events)
        if matches:
            deliveries.write(matches)
        if self._closures.subscriptions:
            closures, publisher = self._closures, _publisher.get()

            def tell() -> None:
                closures.hand_in(events, publisher)

            transaction.on_commit(tell, robust=True)


def publish_to_process(tenant_id: str, events: Sequence[Event]) -> None:
    """Publish to the durable handlers that this process has subscribed for a tenant, in the caller's transaction."""
    tenant_id = str(tenant_id)
    if subscriptions.known_for(tenant_id):
        told = [messages.addressed(event, tenant_id) for event in events]
        matches = subscriptions.matches(tenant_id, told)
        if matches:
            deliveries.write(matches)


def _subscription(pattern: str, handler: Handler, given: Retry | None, timeout: float) -> Subscription:
    handlers.check(handler)
    address = handlers.address_of(handler)
    retry = (LOCAL if address is None else DURABLE) if given is None else Retry.check(given)
    if not is_seconds(timeout) or timeout == 0:
        raise InvalidSubscription("The timeout is a number of seconds above 0.", attr="timeout")
    return Subscription(pattern, handler, retry, float(timeout), address)


def _is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


# The loop may have ended while its closures went on elsewhere.
def _wake(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(done.set)
