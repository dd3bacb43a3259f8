"""Old shapes of events are read as new ones; what is stored stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from engine import Event, EventStore
from engine.connections import execute
from engine.errors import UpcastFailed
from engine.event_store import reading, upcasters
from engine.event_store.rows import COLUMNS, event_of
from engine.event_store.upcasters import register_upcaster, unregister_upcaster
from engine.models import StoredEvent
from flows.models import Flow
from tenants.models import Tenant
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage
from tests.support.processes import wait_for

JSON = dict[str, Any]
ADA = ("account", "ada")


@pytest.fixture(autouse=True)
def own_upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upcasters, "_chains", {})


@pytest.fixture
def store(tenant: Tenant) -> EventStore:
    return EventStore(tenant)


def in_cents(data: JSON) -> JSON:
    return {"cents": data["amount"] * 100}


def with_currency(data: JSON) -> JSON:
    return data | {"currency": "EUR"}


def test_an_old_event_is_read_in_the_newest_shape_on_every_way(store: EventStore) -> None:
    store.append_sync(ADA, [Event("deposited", {"amount": 5})])
    register_upcaster("deposited", 1, in_cents)
    register_upcaster("deposited", 2, with_currency)
    newest = {"cents": 500, "currency": "EUR"}

    assert [event.data for event in store.read_sync(ADA)] == [newest]
    assert [event.data for event in store.stream_sync(ADA)] == [newest]
    assert store.read_sync(ADA)[0].schema_version == 3
    row = execute(f"SELECT {COLUMNS} FROM stored_events").fetchone()
    assert event_of(row).data == newest
    wait_for(store.read_all_sync, what="the event to be readable by everybody")
    assert [event.data for event in store.read_all_sync()] == [newest]
    stored = StoredEvent.objects.get()
    assert (stored.data, stored.schema_version) == ({"amount": 5}, 1)


def test_new_events_are_recorded_in_the_newest_version_and_old_ones_can_be(store: EventStore) -> None:
    register_upcaster("deposited", 1, in_cents)
    register_upcaster("deposited", 2, with_currency)
    new = Event("deposited", {"cents": 7, "currency": "USD"})
    old = Event("deposited", {"amount": 5}, schema_version=1)
    middle = Event("deposited", {"cents": 9}, schema_version=2)

    given = store.append_sync(ADA, [new, old, middle])

    assert [event.data for event in given] == [
        {"cents": 7, "currency": "USD"},
        {"cents": 500, "currency": "EUR"},
        {"cents": 9, "currency": "EUR"},
    ]
    assert given == store.read_sync(ADA)
    assert list(StoredEvent.objects.order_by("sequence").values_list("schema_version", flat=True)) == [3, 1, 2]


def test_an_event_of_a_newer_program_is_left_as_it_is(store: EventStore) -> None:
    register_upcaster("deposited", 1, in_cents)
    store.append_sync(ADA, [Event("deposited", {"later": 1}, schema_version=5)])

    (found,) = store.read_sync(ADA)
    assert (found.data, found.schema_version) == ({"later": 1}, 5)


def test_a_missing_link_names_the_event_and_the_version(store: EventStore) -> None:
    (given,) = store.append_sync(ADA, [Event("deposited", {"amount": 5})])
    register_upcaster("deposited", 2, with_currency)

    with pytest.raises(UpcastFailed, match="no upcaster leads from version 1 to 2") as failed:
        store.read_sync(ADA)
    assert "'deposited' in version 1" in failed.value.detail
    assert failed.value.event.event_id == given.event_id
    assert (failed.value.event.tx, failed.value.event.position) == (given.tx, given.position)


@pytest.mark.parametrize(
    ("upcast", "reason"),
    [
        (lambda data: data["cents"], r"raised KeyError\('cents'\)"),
        (lambda data: None, "gave NoneType and no object"),
        (lambda data: [data], "gave list and no object"),
    ],
)
def test_an_upcaster_that_fails_is_named_with_the_event(
    store: EventStore, upcast: Callable[[JSON], Any], reason: str
) -> None:
    store.append_sync(ADA, [Event("deposited", {"amount": 5})])
    register_upcaster("deposited", 1, in_cents)
    unregister_upcaster("deposited", 1)
    register_upcaster("deposited", 1, upcast)

    with pytest.raises(UpcastFailed, match=f"the upcaster from version 1 {reason}"):
        store.read_sync(ADA)
    with pytest.raises(UpcastFailed):
        store.append_sync(("account", "bob"), [Event("deposited", {"amount": 5}, schema_version=1)])
    assert store.head_sync(("account", "bob")) == 0


def test_an_upcaster_of_a_type_of_aggregate_holds_for_that_type_alone(store: EventStore) -> None:
    card = ("card", "ada")
    for each in (ADA, card):
        store.append_sync(each, [Event("deposited", {"amount": 5})])
    register_upcaster("deposited", 1, in_cents)
    register_upcaster("deposited", 1, with_currency, aggregate_type="card")

    assert store.read_sync(ADA)[0].data == {"cents": 500}
    assert store.read_sync(card)[0].data == {"amount": 5, "currency": "EUR"}


def test_the_engines_own_events_are_not_touched_by_an_upcaster_for_everybody(flow_of: Callable[..., Flow]) -> None:
    Passage(flow_of(graph({"entry": (*ENTRY, {None: "done"}), "done": ("exit", {"reason": "through"})})), "ada").start()
    register_upcaster("completed", 1, lambda _: {"spoiled": True})

    wait_for(lambda: reading.read_after(0, 0, types=["completed"], limit=5), what="the event to be readable")
    (completed,) = reading.read_after(0, 0, types=["completed"], limit=5)
    assert completed.data["reason"] == "through"


def test_a_version_has_one_upcaster(store: EventStore) -> None:
    register_upcaster("deposited", 1, in_cents)
    register_upcaster("deposited", 1, in_cents)
    with pytest.raises(ValueError, match="have an upcaster already"):
        register_upcaster("deposited", 1, with_currency)
    with pytest.raises(ValueError, match="count from 1"):
        register_upcaster("deposited", 0, with_currency)


def test_the_log_refuses_to_be_changed_by_an_upcast(store: EventStore) -> None:
    key = uuid4()
    store.append_sync(("account", key), [Event("deposited", {"amount": 5})])
    register_upcaster("deposited", 1, lambda data: data | {"seen": data.pop("amount")})

    for _ in range(2):
        assert store.read_sync(("account", key))[0].data == {"seen": 5}
