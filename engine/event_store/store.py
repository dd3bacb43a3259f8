"""The event store as programs use it, for aggregates of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from django.db import transaction

from engine import bridge, clock, tenancy
from engine.connections import execute
from engine.errors import InvalidEvent
from engine.event_store import reading, writing
from engine.event_store.addresses import Address, AggregateRef, address_of
from engine.event_store.aggregate import Aggregate
from engine.event_store.drafts import common_of, drafts_of
from engine.event_store.events import Event
from engine.event_store.rows import COLUMNS, event_of
from engine.event_store.writing import Addition
from tenants.models import Tenant

JSON = dict[str, Any]
AnyAggregate = TypeVar("AnyAggregate", bound=Aggregate)

PAGE: Final = 1_000
LAST: Final = 2**63 - 1

# The events of one aggregate after a sequence, up to another.
READ = f"""
    SELECT {COLUMNS} FROM stored_events
     WHERE aggregate_id = %(id)s AND tenant_id = %(tenant)s AND aggregate_type = %(kind)s
       AND sequence > %(after)s AND sequence <= %(upto)s
     ORDER BY sequence LIMIT %(limit)s
"""
# The sequence of its last event.
HEAD = """
    SELECT sequence FROM stored_events
     WHERE aggregate_id = %(id)s AND tenant_id = %(tenant)s AND aggregate_type = %(kind)s
     ORDER BY sequence DESC LIMIT 1
"""


class Announcer(Protocol):
    """An event bus, as the store sees it."""

    def announce(self, events: Sequence[Event]) -> None:
        """Hear of events in the transaction that records them; act on them only after its commit."""


@dataclass(frozen=True, slots=True)
class Append:
    """Events for one aggregate, behind the expected one or wherever it stands."""

    aggregate: AggregateRef
    events: Sequence[Event]
    expected_sequence: int | None = None


class EventStore:
    """
    A tenant's aggregates: an aggregate is `("account", id)`, its id a UUID or a name.

    Every method is there twice: `append` to be awaited, `append_sync` for synchronous callers. A synchronous call joins
    the transaction it is made in, and whatever it refuses changes nothing; an asynchronous one commits before it
    returns, for Django has no asynchronous transactions.
    """

    def __init__(self, tenant: Tenant | UUID | str | None = None, *, event_bus: Announcer | None = None) -> None:
        self._tenant = tenancy.key_of(tenant)
        self._event_bus = event_bus

    @property
    def tenant_id(self) -> str:
        """The tenant's id; without a tenant, that of `default`."""
        return tenancy.id_of(self._tenant)

    def append_sync(
        self,
        aggregate: AggregateRef,
        events: Sequence[Event],
        expected_sequence: int | None = None,
        *,
        metadata: JSON | None = None,
    ) -> list[Event]:
        """
        Add events to an aggregate, all or none, and give them as they are recorded.

        `expected_sequence` is the last event the caller knows of, 0 for a new aggregate: ConcurrencyConflict says that
        it is another. Without it the events go wherever the aggregate stands.
        """
        return self.append_many_sync([Append(aggregate, events, expected_sequence)], metadata=metadata)

    def append_many_sync(self, appends: Iterable[Append], *, metadata: JSON | None = None) -> list[Event]:
        """Add events to several aggregates in one transaction, all or none; readers see them in the order given."""
        additions = self._additions(list(appends), metadata)
        events = [draft.event for each in additions for draft in each.drafts]
        if not events:
            return []
        if self._event_bus is None:
            _add(additions, len(events))
            return events
        with transaction.atomic():
            _add(additions, len(events))
            self._event_bus.announce(events)
        return events

    def read_sync(
        self, aggregate: AggregateRef, *, after: int = 0, upto: int | None = None, limit: int | None = None
    ) -> list[Event]:
        """Give an aggregate's events after a sequence, up to another (included), in their order."""
        return self._read(self._address(aggregate), after, upto, limit)

    def stream_sync(self, aggregate: AggregateRef, *, after: int = 0, page: int = PAGE) -> Iterator[Event]:
        """Give an aggregate's events one by one, read page by page, so that a long log fits as well as a short one."""
        address = self._address(aggregate)
        while found := self._read(address, after, None, page):
            yield from found
            after = found[-1].sequence

    async def stream(self, aggregate: AggregateRef, *, after: int = 0, page: int = PAGE) -> AsyncIterator[Event]:
        """Give an aggregate's events one by one, read page by page, for `async for`."""
        while found := await self.read(aggregate, after=after, limit=page):
            for event in found:
                yield event
            after = found[-1].sequence

    def read_all_sync(
        self, *, after: tuple[int, int] = reading.START, types: Sequence[str] = (), limit: int = PAGE
    ) -> list[Event]:
        """
        Give the tenant's events after a place (tx, position), of all aggregates or of some types of events.

        In the one order that every reader sees alike and without holes; the last one's place is where to read on. An
        event can be read once every transaction that is as old as its own has ended.
        """
        if isinstance(types, str):
            raise InvalidEvent(f'types: a list of types is needed, ["{types}"], not a text.', attr="types")
        return reading.read_after(*after, types=types, tenant_id=self.tenant_id, limit=limit)

    def head_sync(self, aggregate: AggregateRef) -> int:
        """Give the sequence of an aggregate's last event; 0 where it has none."""
        found = execute(HEAD, _parameters(self._address(aggregate))).fetchone()
        return int(found[0]) if found else 0

    def load_sync(self, kind: type[AnyAggregate], id: UUID | str) -> AnyAggregate:  # noqa: A002  # an aggregate's name for it
        """Give an aggregate as its events say; one that has none is as new."""
        return kind(id).replay(self.stream_sync((kind.type, id)))

    def save_sync(self, aggregate: Aggregate, *, metadata: JSON | None = None) -> list[Event]:
        """
        Append what an aggregate has recorded since it was loaded, and give it.

        ConcurrencyConflict where somebody else has changed it meanwhile: load it again, and decide anew. Likewise after
        a rollback of the caller's transaction: the object takes what it has saved for recorded.
        """
        saved = self.append_sync((aggregate.type, aggregate.id), aggregate.new, aggregate.saved, metadata=metadata)
        aggregate.new = []
        return saved

    append = bridge.twin(append_sync)
    append_many = bridge.twin(append_many_sync)
    read = bridge.twin(read_sync)
    read_all = bridge.twin(read_all_sync)
    head = bridge.twin(head_sync)
    load = bridge.twin(load_sync)
    save = bridge.twin(save_sync)

    def _address(self, aggregate: AggregateRef) -> Address:
        return address_of(self.tenant_id, aggregate)

    def _additions(self, appends: Sequence[Append], metadata: JSON | None) -> list[Addition]:
        common = common_of(metadata, clock.now())
        made = []
        for number, each in enumerate(appends):
            address, path = self._address(each.aggregate), "events" if len(appends) == 1 else f"{number}.events"
            _check_expected(each.expected_sequence)
            drafts = drafts_of(address, each.events, common, path=path)
            made.append(Addition(address, drafts, each.expected_sequence))
        return made

    def _read(self, address: Address, after: int, upto: int | None, limit: int | None) -> list[Event]:
        given = {"after": after, "upto": LAST if upto is None else upto, "limit": limit}
        return [event_of(row) for row in execute(READ, _parameters(address) | given)]


def _add(additions: Sequence[Addition], count: int) -> None:
    if count == 1 == len(additions):
        writing.add_one(additions[0].address, additions[0].drafts[0], additions[0].expected)
    else:
        writing.add(additions)


def _check_expected(expected: object) -> None:
    if expected is None:
        return
    if isinstance(expected, bool) or not isinstance(expected, int) or not 0 <= expected <= LAST:
        raise InvalidEvent("expected_sequence: a whole number from 0 is needed, or nothing.", attr="expected_sequence")


def _parameters(address: Address) -> JSON:
    return {"id": address.id, "tenant": address.tenant_id, "kind": address.type}
