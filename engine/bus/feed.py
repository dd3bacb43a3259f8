"""
The feed of a durable handler from the log: what runs and aggregates record reaches it, whoever recorded it.

A handler has a checkpoint of its own, and begins with what is recorded after it was first known to the workers. An
event that was announced when it was recorded has its delivery already; the unique key decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine import tenancy
from engine.bus import deliveries, patterns, subscriptions
from engine.bus.subscriptions import Subscription
from engine.event_store.events import SAGA, Event
from engine.projections import registry
from engine.projections.projection import Projection

# What a saga says on the bus by itself, with its name and its results: the log's own record of it is not told again.
SAID_BY_SAGAS: Final = frozenset(("step_completed", "step_compensated", "saga_completed", "saga_failed"))


class Feed(Projection):
    """Writes the deliveries of one handler."""

    starts = "head"

    def __init__(self, address: str) -> None:
        self.address = address
        self.name = name_of(address)

    @property
    def types(self) -> Sequence[str]:  # type: ignore[override]  # follows what is subscribed
        """The types that are wanted; none means all."""
        wanted = {each.pattern for _, each in subscriptions.of_address(self.address)}
        return sorted(wanted) if all(map(patterns.is_exact, wanted)) else ()

    def project(self, events: Sequence[Event]) -> None:
        """Write a delivery for each event that the handler wants."""
        known = [(tenancy.id_of(key), each) for key, each in subscriptions.of_address(self.address)]
        found = [(event, _wanting(known, event)) for event in events if not _is_said_by_a_saga(event)]
        deliveries.write([(event, each) for event, each in found if each is not None])


def name_of(address: str) -> str:
    """Name the projection of a handler."""
    return f"bus:{deliveries.short(address)}"


def follow(address: str) -> None:
    """Have this process feed a handler from the log, if anything that it wants is to be found there."""
    if any(_is_logged(each.pattern) for _, each in subscriptions.of_address(address)):
        registry.register(Feed(address))
    else:
        registry.unregister(name_of(address))


def _wanting(known: Sequence[tuple[str, Subscription]], event: Event) -> Subscription | None:
    return next((each for tenant_id, each in known if tenant_id == event.tenant_id and each.wants(event)), None)


def _is_logged(pattern: str) -> bool:
    return pattern.partition(":")[0] not in SAID_BY_SAGAS


def _is_said_by_a_saga(event: Event) -> bool:
    return event.aggregate_type == SAGA and event.type in SAID_BY_SAGAS
