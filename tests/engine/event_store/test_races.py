"""Writers that meet: exactly one wins, nobody waits for ever, and readers miss nothing."""

from __future__ import annotations

import asyncio
import threading
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, OperationalError, transaction

from engine import Append, Event, EventStore
from engine.connections import execute
from engine.errors import ConcurrencyConflict
from engine.event_store import reading
from tenants.models import Tenant
from tests.support.processes import wait_for
from tests.support.races import Meanwhile, at_once, wait_until_somebody_is_blocked

ADA = ("account", "ada")


@pytest.fixture
def store(tenant: Tenant) -> EventStore:
    return EventStore(tenant)


def events(count: int = 1, *, by: int = 0) -> list[Event]:
    return [Event("deposited", {"amount": 1, "by": by}) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 3])
def test_of_racing_appends_with_the_same_expectation_exactly_one_wins(store: EventStore, count: int) -> None:
    store.append_sync(ADA, events())

    def append(writer: int) -> list[Event] | ConcurrencyConflict:
        try:
            return store.append_sync(ADA, events(count, by=writer), 1)
        except ConcurrencyConflict as conflict:
            return conflict

    answers = at_once([lambda writer=writer: append(writer) for writer in range(6)])

    winners = [answer for answer in answers if isinstance(answer, list)]
    losers = [answer for answer in answers if isinstance(answer, ConcurrencyConflict)]
    assert len(winners) == 1
    assert [(loser.expected, loser.actual) for loser in losers] == [(1, 1 + count)] * 5
    assert store.read_sync(ADA, after=1) == winners[0]


def test_appends_without_an_expectation_all_find_their_place(store: EventStore) -> None:
    def append(writer: int) -> None:
        for turn in range(10):
            store.append_sync(ADA, events(1 + turn % 3, by=writer))

    at_once([lambda writer=writer: append(writer) for writer in range(4)])

    found = store.read_sync(ADA)
    assert [event.sequence for event in found] == list(range(1, 4 * 19 + 1))
    places = [(event.tx, event.position) for event in found]
    assert places == sorted(places)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_an_append_waits_for_an_open_one_and_follows_what_became_of_it(
    store: EventStore, count: int, ends: str
) -> None:
    appended, go_on = threading.Event(), threading.Event()

    def open_one() -> None:
        try:
            with transaction.atomic():
                store.append_sync(ADA, events(1, by=1))
                appended.set()
                assert go_on.wait(60)
                if ends == "rollback":
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    with Meanwhile(open_one) as first:
        assert appended.wait(60)
        with Meanwhile(lambda: store.append_sync(ADA, events(count, by=2))) as second:
            wait_until_somebody_is_blocked()
            go_on.set()
            first.answer()
            second.answer()

    writers = [event.data["by"] for event in store.read_sync(ADA)]
    assert writers == ([1] if ends == "commit" else []) + [2] * count


def test_a_refused_append_of_several_leaves_the_callers_transaction_usable(store: EventStore) -> None:
    opened, go_on = threading.Event(), threading.Event()
    conflicts: list[ConcurrencyConflict] = []

    def caller() -> None:
        with transaction.atomic():
            store.append_sync(("account", "bob"), events())
            opened.set()
            assert go_on.wait(60)
            try:
                store.append_many_sync([Append(("account", "eve"), events(2), 0), Append(ADA, events(3), 0)])
            except ConcurrencyConflict as conflict:
                conflicts.append(conflict)
            store.append_sync(("account", "bob"), events(2), 1)

    with Meanwhile(caller) as running:
        assert opened.wait(60)
        store.append_sync(ADA, events())
        go_on.set()
        running.answer()

    assert [(conflict.expected, conflict.actual) for conflict in conflicts] == [(0, 1)]
    assert store.head_sync(("account", "bob")) == 3
    assert store.head_sync(("account", "eve")) == 0
    assert store.head_sync(ADA) == 1


def test_batches_that_meet_in_several_aggregates_never_deadlock(store: EventStore) -> None:
    accounts: list[tuple[str, UUID | str]] = [("account", uuid4()) for _ in range(6)]

    def append(writer: int) -> None:
        for turn in range(8):
            start = (writer + turn) % len(accounts)
            ring = accounts[start:] + accounts[:start]
            store.append_many_sync([Append(each, events(2, by=writer)) for each in ring])

    at_once([lambda writer=writer: append(writer) for writer in range(4)])

    assert [store.head_sync(account) for account in accounts] == [4 * 8 * 2] * len(accounts)


@pytest.mark.parametrize("count", [1, 2])
def test_a_transaction_that_cannot_see_the_winner_is_told_so(store: EventStore, count: int) -> None:
    store.append_sync(ADA, events())

    with pytest.raises((OperationalError, IntegrityError)), transaction.atomic():
        execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert store.head_sync(ADA) == 1
        with Meanwhile(lambda: store.append_sync(ADA, events())) as other:
            other.answer()
        store.append_sync(ADA, events(count))

    assert store.head_sync(ADA) == 2


class Reader:
    """Reads on from its place, as a projection does."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant_id = str(tenant.pk)
        self.at = reading.START
        self.seen: list[Event] = []

    def read(self, limit: int = 7) -> int:
        found = reading.read_after(*self.at, tenant_id=self.tenant_id, limit=limit)
        self.seen += found
        if found:
            self.at = (found[-1].tx, found[-1].position)
        return len(found)

    def read_all(self, count: int) -> None:
        # A transaction in any database of the server holds readers back.
        wait_for(lambda: self.read(500) == 0 and len(self.seen) >= count, seconds=30, what="every event")

    def assert_no_holes(self) -> None:
        logs: dict[str, list[int]] = {}
        for event in self.seen:
            logs.setdefault(event.aggregate_id, []).append(event.sequence)
        assert all(log == list(range(1, len(log) + 1)) for log in logs.values())


def test_a_long_transaction_that_appends_after_a_younger_one_does_not_contradict_the_aggregate(
    store: EventStore, tenant: Tenant
) -> None:
    opened, go_on = threading.Event(), threading.Event()

    def long_transaction() -> None:
        with transaction.atomic():
            store.append_sync(("account", "early"), events())
            opened.set()
            assert go_on.wait(60)
            store.append_sync(ADA, events(1, by=1))
            store.append_sync(ADA, events(2, by=1))

    reader = Reader(tenant)
    with Meanwhile(long_transaction) as older:
        assert opened.wait(60)
        store.append_sync(ADA, events(1, by=2))
        assert reader.read() == 0
        go_on.set()
        older.answer()

    reader.read_all(5)
    reader.assert_no_holes()
    assert [event.data["by"] for event in reader.seen if event.data["by"]] == [2, 1, 1, 1]


def test_readers_beside_writers_of_every_kind_miss_nothing(store: EventStore, tenant: Tenant) -> None:
    over = threading.Event()
    reader = Reader(tenant)
    accounts: list[tuple[str, UUID | str]] = [("account", f"a{number}") for number in range(5)]

    def write(writer: int) -> None:
        for turn in range(20):
            account = accounts[(writer * 3 + turn) % 5]
            try:
                with transaction.atomic():
                    store.append_sync(account, events(1, by=writer))
                    store.append_sync(account, events(2, by=writer))
                    if turn % 4 == 0:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                store.append_sync(account, events(1, by=writer))

    def read() -> None:
        while not over.is_set():
            reader.read()

    with Meanwhile(read) as reads:
        at_once([lambda writer=writer: write(writer) for writer in range(3)])
        over.set()
        reads.answer()

    total = sum(store.head_sync(account) for account in accounts)
    assert total == 3 * (15 * 3 + 5)
    reader.read_all(total)
    assert len(reader.seen) == total
    reader.assert_no_holes()


def test_asynchronous_writers_meet_like_any_others(store: EventStore) -> None:
    async def append(writer: int) -> int:
        try:
            return (await store.append(ADA, events(1, by=writer), 0))[0].sequence
        except ConcurrencyConflict as conflict:
            return -conflict.actual

    async def all_at_once() -> list[int]:
        return await asyncio.gather(*[append(writer) for writer in range(8)])

    assert sorted(asyncio.run(all_at_once())) == [-1] * 7 + [1]
