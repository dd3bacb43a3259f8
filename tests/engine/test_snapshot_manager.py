"""`SnapshotManager`, as another app uses it beside `EventStore`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest
from django.db import connection, transaction

from engine import Aggregate, Event, EventStore, SnapshotManager
from engine.errors import InvalidAggregate, InvalidTenant, UnknownFold
from engine.models import Snapshot
from engine.snapshots import counts, folds, loading
from tenants.models import DEFAULT_TENANT, Tenant
from tests.engine.operating import waiting
from tests.support.passage import Passage


class Counter(Aggregate):
    """Counts, and remembers the last few."""

    type = "counter"

    @classmethod
    def initial(cls):
        return {"total": 0, "last": []}

    def add(self, n):
        self.record("added", n=n)

    def when_added(self, event):
        self.state["total"] += event.data["n"]
        self.state["last"] = [*self.state["last"][-2:], event.data["n"]]


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with folds.preserved():
        SnapshotManager.register_aggregate(Counter)
        yield


@pytest.fixture
def store(tenant: Tenant) -> EventStore:
    return EventStore(tenant)


@pytest.fixture
def snapshots(tenant: Tenant) -> SnapshotManager:
    return SnapshotManager(tenant, every=10)


def count(store: EventStore, name: str, times: int) -> None:
    counter = store.load_sync(Counter, name)
    for n in range(times):
        counter.add(n)
    store.save_sync(counter)


def test_an_aggregate_is_loaded_by_its_snapshot_and_saved_by_the_store(
    store: EventStore, snapshots: SnapshotManager
) -> None:
    count(store, "mine", 12)
    assert snapshots.load_sync(("counter", "mine")).events == 12

    counter = snapshots.load_aggregate_sync(Counter, "mine")
    counter.add(100)
    store.save_sync(counter)

    assert Snapshot.objects.get().sequence == 12
    again = snapshots.load_aggregate_sync(Counter, "mine")
    assert (again.state, again.sequence) == ({"total": 166, "last": [10, 11, 100]}, 13)
    assert again.state == store.load_sync(Counter, "mine").state
    assert snapshots.load_sync(("counter", "mine")).events == 1


def test_every_method_can_be_awaited(transactional_db: None) -> None:
    store, snapshots = EventStore(), SnapshotManager()
    tenant = Tenant.objects.get(name=DEFAULT_TENANT)

    async def use() -> None:
        await store.append(("counter", "mine"), [Event("added", {"n": 1})] * 3)
        assert await snapshots.take(("counter", "mine"))
        assert not await snapshots.take(("counter", "mine"))
        assert (await snapshots.load(("counter", "mine"))).snapshot == 3
        assert (await snapshots.load(("counter", "mine"), upto=2)).state["total"] == 2
        assert (await snapshots.load_aggregate(Counter, "mine")).sequence == 3
        assert await snapshots.verify(("counter", "mine")) is None
        assert await snapshots.discard(("counter", "mine"))
        assert not await snapshots.discard(("counter", "mine"))

    asyncio.run(use())
    assert SnapshotManager(tenant).load_sync(("counter", "mine")).sequence == 3


def test_runs_can_be_loaded_too(snapshots: SnapshotManager, passage) -> None:
    ada: Passage = passage(waiting()).start()

    loaded = snapshots.load_sync(("instance", str(ada.id)))

    assert (loaded.state.status, loaded.sequence) == ("waiting", ada.instance.sequence)
    assert snapshots.load_sync(("saga", uuid4())).sequence == 0


def test_tenants_do_not_meet(store: EventStore, snapshots: SnapshotManager, other_tenant: Tenant) -> None:
    count(store, "mine", 12)
    snapshots.load_sync(("counter", "mine"))
    kept = Snapshot.objects.get()
    theirs = SnapshotManager(other_tenant, every=1)

    assert theirs.load_sync(("counter", "mine")).sequence == 0
    assert theirs.load_sync(("counter", str(kept.pk))).sequence == 0
    assert not theirs.discard_sync(("counter", str(kept.pk)))
    assert theirs.verify_sync(("counter", str(kept.pk))) is None
    assert Snapshot.objects.get() == kept


@pytest.mark.parametrize(
    "wrong",
    [
        *[("counter", ""), ("", "x"), ("counter", "a\x00"), ("instance", "ada"), "counter", 7],
        *[(), ("instance", "ada", "x"), (["counter"], "x"), ("saga",)],
    ],
)
def test_what_is_no_aggregate_is_refused(snapshots: SnapshotManager, wrong) -> None:
    with pytest.raises(InvalidAggregate):
        snapshots.load_sync(wrong)


def test_a_type_that_nobody_registered_is_named(snapshots: SnapshotManager) -> None:
    with pytest.raises(UnknownFold, match="“ledger”"):
        snapshots.load_sync(("ledger", "mine"))
    with pytest.raises(InvalidAggregate, match="engine's own"):
        SnapshotManager.register("instance", initial=dict, apply=lambda state, _: state)
    with pytest.raises(InvalidTenant):
        SnapshotManager("tenant")


def test_of_many_takers_the_newest_wins_and_nobody_waits(store: EventStore, snapshots: SnapshotManager) -> None:
    count(store, "mine", 40)
    together = Barrier(4)

    def take(upto: int) -> None:
        of = snapshots._of(("counter", "mine"))
        loaded = loading.load(of, upto=upto, every=1000)
        together.wait(60)
        loading.take(of, loaded)
        connection.close()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(take, upto) for upto in (10, 40, 20, 30)]:
            done.result(30)
    snapshots.take_sync(("counter", "mine"))

    assert Snapshot.objects.get().sequence == 40
    assert snapshots.verify_sync(("counter", "mine")) is None


def test_a_taker_who_has_not_committed_keeps_nobody_waiting(store: EventStore, snapshots: SnapshotManager) -> None:
    count(store, "mine", 12)

    def load_elsewhere() -> int:
        try:
            return SnapshotManager(store.tenant_id, every=1).load_sync(("counter", "mine")).sequence
        finally:
            connection.close()

    given_up = counts.so_far()["not_taken"]
    with ThreadPoolExecutor(1) as thread, transaction.atomic():
        assert snapshots.take_sync(("counter", "mine"))
        # A load that waited for this transaction would wait for ever, or give up at the limit for locks.
        assert thread.submit(load_elsewhere).result(30) == 12
    assert counts.so_far()["not_taken"] == given_up
