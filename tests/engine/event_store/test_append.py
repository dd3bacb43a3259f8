"""Appending: sequences, expectations, transactions, and whose aggregate it is."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction

from engine import Append, Event, EventStore
from engine.errors import AggregateTaken, ConcurrencyConflict, InvalidAggregate
from engine.models import StoredEvent
from engine.saga_context import current_saga_id
from tenants.models import Tenant
from tests.engine.conftest import FakeClock

ADA, BOB = ("account", "ada"), ("account", "bob")


@pytest.fixture
def store(tenant: Tenant) -> EventStore:
    return EventStore(tenant)


def deposited(*amounts: int) -> list[Event]:
    return [Event("deposited", {"amount": amount}) for amount in amounts]


def amounts(events: list[Event]) -> list[int]:
    return [event.data["amount"] for event in events]


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_appended_is_what_is_given_and_what_is_read(store: EventStore, now: FakeClock, count: int) -> None:
    given = store.append_sync(ADA, deposited(*range(count)), 0, metadata={"actor": "grace"})

    assert given == store.read_sync(ADA)
    assert [event.sequence for event in given] == list(range(1, count + 1))
    assert {event.at for event in given} == {now()}
    assert {event.metadata["actor"] for event in given} == {"grace"}
    assert {event.tenant_id for event in given} == {store.tenant_id}
    assert {event.schema_version for event in given} == {1}
    assert len({event.event_id for event in given}) == count
    assert store.head_sync(ADA) == count


def test_a_part_of_a_log_can_be_read(store: EventStore) -> None:
    store.append_sync(ADA, deposited(*range(1, 11)))

    assert amounts(store.read_sync(ADA, after=3, upto=6)) == [4, 5, 6]
    assert amounts(store.read_sync(ADA, after=3, limit=2)) == [4, 5]
    assert store.read_sync(ADA, after=10) == []
    assert store.read_sync(BOB) == []
    assert store.head_sync(BOB) == 0


def test_a_long_log_is_read_page_by_page(store: EventStore) -> None:
    store.append_sync(ADA, deposited(*range(25)))

    async def all_of_them() -> list[Event]:
        return [event async for event in store.stream(ADA, page=10)]

    assert amounts(list(store.stream_sync(ADA, page=10))) == list(range(25))
    assert amounts(asyncio.run(all_of_them())) == list(range(25))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("expected", [0, 1, 4, 2**63 - 1])
def test_an_expectation_that_is_wrong_is_refused_with_both_numbers(
    store: EventStore, count: int, expected: int
) -> None:
    store.append_sync(ADA, deposited(1, 2))

    with pytest.raises(ConcurrencyConflict) as refused:
        store.append_sync(ADA, deposited(*[9] * count), expected)

    assert (refused.value.expected, refused.value.actual) == (expected, 2)
    assert refused.value.extra == {"expected": expected, "actual": 2}
    assert amounts(store.read_sync(ADA)) == [1, 2]


def test_the_first_event_of_an_aggregate_is_expected_after_none(store: EventStore) -> None:
    with pytest.raises(ConcurrencyConflict, match="is at event 0 and not at 3"):
        store.append_sync(ADA, deposited(1), 3)
    assert store.append_sync(ADA, deposited(1), 0)[0].sequence == 1


def test_nothing_is_appended_by_no_events(store: EventStore) -> None:
    assert store.append_sync(ADA, []) == []
    assert store.append_many_sync([]) == []


def test_a_batch_is_all_or_nothing_and_read_in_the_order_given(store: EventStore) -> None:
    accounts: list[tuple[str, UUID | str]] = [("account", uuid4()) for _ in range(20)]
    appends = [Append(account, deposited(number, number)) for number, account in enumerate(accounts)]
    store.append_many_sync([*appends, Append(accounts[0], deposited(77), 2)])

    assert amounts(store.read_sync(accounts[0])) == [0, 0, 77]
    positions = [event.position for account in accounts[1:] for event in store.read_sync(account)]
    assert positions == sorted(positions)

    with pytest.raises(ConcurrencyConflict) as refused:
        store.append_many_sync([Append(BOB, deposited(1), 0), Append(accounts[3], deposited(1), 1)])
    assert (refused.value.expected, refused.value.actual) == (1, 2)
    assert store.head_sync(BOB) == 0


def test_an_append_belongs_to_the_transaction_it_is_made_in(store: EventStore) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        store.append_sync(ADA, deposited(1))
        store.append_sync(BOB, deposited(1, 2))
        assert store.head_sync(BOB) == 2
        raise ZeroDivisionError

    assert (store.head_sync(ADA), store.head_sync(BOB)) == (0, 0)


@pytest.mark.parametrize("count", [1, 3])
def test_a_transaction_goes_on_after_a_refused_append(store: EventStore, count: int) -> None:
    store.append_sync(ADA, deposited(1))

    with transaction.atomic():
        store.append_sync(BOB, deposited(5))
        with pytest.raises(ConcurrencyConflict):
            store.append_sync(ADA, deposited(*range(count)), 0)
        store.append_sync(BOB, deposited(6), 1)

    assert amounts(store.read_sync(BOB)) == [5, 6]
    assert amounts(store.read_sync(ADA)) == [1]


def test_what_a_savepoint_undoes_leaves_no_gap(store: EventStore) -> None:
    with transaction.atomic():
        store.append_sync(ADA, deposited(1))
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            store.append_sync(ADA, deposited(2, 3))
            raise ZeroDivisionError
        store.append_sync(ADA, deposited(4), 1)

    assert [(event.sequence, event.data["amount"]) for event in store.read_sync(ADA)] == [(1, 1), (2, 4)]
    assert len({event.tx for event in store.read_sync(ADA)}) == 1


def test_names_belong_to_a_tenant_and_a_type(tenant: Tenant, other_tenant: Tenant) -> None:
    ours, theirs = EventStore(tenant), EventStore(str(other_tenant.pk))
    ours.append_sync(ADA, deposited(1))
    theirs.append_sync(ADA, deposited(2), 0)
    ours.append_sync(("card", "ada"), deposited(3), 0)

    assert amounts(ours.read_sync(ADA)) == [1]
    assert amounts(theirs.read_sync(ADA)) == [2]
    assert amounts(ours.read_sync(("card", "ada"))) == [3]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("expected", [None, 0, 1, 2])
def test_another_tenants_aggregate_is_neither_read_nor_appended_to(
    tenant: Tenant, other_tenant: Tenant, count: int, expected: int | None
) -> None:
    account = ("account", uuid4())
    ours, theirs = EventStore(tenant), EventStore(other_tenant)
    theirs.append_sync(account, deposited(1))

    with pytest.raises(AggregateTaken):
        ours.append_sync(account, deposited(*[2] * count), expected)

    assert ours.read_sync(account) == []
    assert ours.head_sync(account) == 0
    assert amounts(theirs.read_sync(account)) == [1]


def test_an_id_is_used_once_whatever_the_type(store: EventStore) -> None:
    key = uuid4()
    store.append_sync(("account", key), deposited(1))

    with pytest.raises(AggregateTaken):
        store.append_sync(("card", key), deposited(1))


def test_a_uuid_that_is_written_as_text_is_that_uuid(store: EventStore) -> None:
    key = uuid4()
    store.append_sync(("account", key), deposited(1))

    assert store.head_sync(("account", str(key).upper())) == 1
    assert store.read_sync(("account", str(key)))[0].aggregate_id == str(key)


@pytest.mark.parametrize("kind", ["instance", "saga"])
def test_the_engines_own_aggregates_are_not_for_everybody(store: EventStore, kind: str) -> None:
    with pytest.raises(InvalidAggregate, match="engine's own") as refused:
        store.append_sync((kind, uuid4()), deposited(1))
    assert refused.value.attr == "aggregate.type"
    with pytest.raises(InvalidAggregate):
        store.read_sync((kind, uuid4()))


def test_without_a_tenant_it_is_the_default_one(transactional_db: None) -> None:
    EventStore().append_sync(ADA, deposited(1))

    default = Tenant.objects.get(name="default")
    assert amounts(EventStore(default).read_sync(ADA)) == [1]


def test_events_carry_what_the_running_code_belongs_to(store: EventStore) -> None:
    token = current_saga_id.set("order-1")
    try:
        store.append_sync(ADA, [Event("deposited", {}, metadata={"actor": "grace"})], metadata={"actor": "nobody"})
        store.append_sync(ADA, [Event("deposited")], metadata={"saga_id": "told"})
    finally:
        current_saga_id.reset(token)

    assert [event.metadata for event in store.read_sync(ADA)] == [
        {"saga_id": "order-1", "actor": "grace"},
        {"saga_id": "told"},
    ]


class Heard:
    """A bus that notes what it hears, and may refuse it."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.events: list[Any] = []
        self.refusal = refusal

    def announce(self, events: Any) -> None:
        assert connection.in_atomic_block
        assert StoredEvent.objects.filter(event_id__in=[event.event_id for event in events]).count() == len(events)
        if self.refusal:
            raise self.refusal
        self.events += events


def test_a_bus_hears_of_events_in_their_transaction(tenant: Tenant) -> None:
    bus = Heard()
    store = EventStore(tenant, event_bus=bus)
    assert store.append_sync(ADA, deposited(1)) + store.append_sync(ADA, deposited(2, 3)) == bus.events

    with pytest.raises(ZeroDivisionError):
        EventStore(tenant, event_bus=Heard(ZeroDivisionError())).append_sync(ADA, deposited(4))
    assert store.head_sync(ADA) == 3


def test_every_method_can_be_awaited(store: EventStore) -> None:
    async def acts() -> None:
        await store.append(ADA, deposited(1), 0)
        await store.append_many([Append(ADA, deposited(2)), Append(BOB, deposited(3))])
        assert amounts(await store.read(ADA, after=1)) == [2]
        assert await store.head(BOB) == 1
        with pytest.raises(ConcurrencyConflict):
            await store.append(ADA, deposited(1), 0)

    asyncio.run(acts())
    assert store.head_sync(ADA) == 2
