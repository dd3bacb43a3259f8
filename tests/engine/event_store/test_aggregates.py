"""Aggregates: decided in memory, saved behind what was loaded, folded from events alone."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from engine import Aggregate, Event, EventStore
from engine.errors import ConcurrencyConflict, InvalidEvent, UnfoldedEvent
from tenants.models import Tenant


class Counter(Aggregate):
    type = "counter"

    @classmethod
    def initial(cls) -> dict[str, Any]:
        return {"count": 0, "seen": []}

    def count(self, by: int = 1) -> None:
        self.record("counted", by=by)

    def when_counted(self, event: Event) -> None:
        self.state["count"] += event.data["by"]

    def when_was_seen_by(self, event: Event) -> None:
        self.state["seen"].append(event.data["who"])


@pytest.fixture
def store(tenant: Tenant) -> EventStore:
    return EventStore(tenant)


def test_what_is_saved_is_what_is_loaded(store: EventStore) -> None:
    counter = store.load_sync(Counter, "a")
    assert (counter.sequence, counter.state) == (0, {"count": 0, "seen": []})
    counter.count()
    counter.count(4)
    saved = store.save_sync(counter, metadata={"actor": "grace"})

    assert [event.metadata for event in saved] == [{"actor": "grace"}] * 2
    assert (counter.sequence, counter.saved, counter.new) == (2, 2, [])
    again = store.load_sync(Counter, "a")
    assert (again.sequence, again.state) == (2, {"count": 5, "seen": []})


def test_a_saved_aggregate_goes_on(store: EventStore) -> None:
    counter = store.load_sync(Counter, uuid4())
    for _ in range(3):
        counter.count()
        store.save_sync(counter)
    assert store.save_sync(counter) == []
    assert store.load_sync(Counter, counter.id).sequence == 3


def test_of_two_that_were_loaded_the_second_to_save_is_refused(store: EventStore) -> None:
    first, second = store.load_sync(Counter, "a"), store.load_sync(Counter, "a")
    first.count()
    second.count()
    second.count()
    store.save_sync(first)

    with pytest.raises(ConcurrencyConflict) as refused:
        store.save_sync(second)

    assert (refused.value.expected, refused.value.actual) == (0, 1)
    assert (len(second.new), second.saved) == (2, 0)
    assert store.load_sync(Counter, "a").state["count"] == 1


def test_what_cannot_be_stored_is_refused_when_it_is_saved(store: EventStore) -> None:
    counter = store.load_sync(Counter, "a")
    counter.record("was.seen-by", who={1})
    with pytest.raises(InvalidEvent, match=r"events\.0\.data\.who"):
        store.save_sync(counter)


def test_an_event_that_is_not_folded_is_an_error_and_is_not_recorded(store: EventStore) -> None:
    counter = Counter("a")
    with pytest.raises(UnfoldedEvent, match="Counter does not say what 'reset' does"):
        counter.record("reset")
    assert (counter.new, counter.sequence) == ([], 0)


def test_an_event_that_its_fold_refuses_is_not_recorded() -> None:
    counter = Counter("a")
    with pytest.raises(KeyError):
        counter.record("counted", much=1)
    assert (counter.new, counter.sequence) == ([], 0)


def test_the_name_of_an_event_may_have_dots_and_dashes() -> None:
    counter = Counter("a")
    counter.record("was.seen-by", who="ada")
    assert counter.state["seen"] == ["ada"]


def test_folds_give_the_state_and_go_on_from_one() -> None:
    events = [Event("counted", {"by": number}, number) for number in (1, 2, 3)]

    assert Counter.fold(None, events) == {"count": 6, "seen": []}
    assert Counter.fold({"count": 10, "seen": []}, events[1:]) == {"count": 15, "seen": []}
    assert Counter.apply(Counter.initial(), events[2]) == {"count": 3, "seen": []}
    assert Counter("a", {"count": 10, "seen": []}, 7).replay(events[:1]).state["count"] == 11


def test_aggregates_do_not_share_their_state() -> None:
    one, other = Counter("a"), Counter("b")
    one.record("was.seen-by", who="ada")
    assert other.state["seen"] == []


def test_a_rollback_takes_what_was_saved_with_it(store: EventStore) -> None:
    counter = store.load_sync(Counter, "a")
    counter.count()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        store.save_sync(counter)
        raise ZeroDivisionError
    assert store.load_sync(Counter, "a").sequence == 0


def test_aggregates_can_be_awaited(store: EventStore) -> None:
    async def count() -> Counter:
        counter = await store.load(Counter, "a")
        counter.count()
        await store.save(counter)
        return await store.load(Counter, "a")

    assert asyncio.run(count()).state["count"] == 1


class Basket(Aggregate):
    type = "basket"

    def when_filled(self, event: Event) -> None:
        self.state["items"] = event.data["items"]

    def when_added(self, event: Event) -> None:
        self.state["items"].append(event.data["item"])


def test_a_state_that_keeps_what_it_was_given_changes_nothing_that_happened(store: EventStore) -> None:
    basket, given = Basket("a"), ["pear"]
    basket.record("filled", items=given)
    basket.record("added", item="plum")
    given.append("grape")
    store.save_sync(basket)

    assert [event.data for event in store.read_sync(("basket", "a"))] == [{"items": ["pear"]}, {"item": "plum"}]
    assert store.load_sync(Basket, "a").state == basket.state == {"items": ["pear", "plum"]}
