"""The way in for events: stored once, with the caller's transaction, whoever else sends the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from engine import bells, errors, inbox
from engine.event_form import Incoming
from engine.inbox import publish_event
from engine.models import InboundEvent
from tenants.models import Tenant
from tests.support.races import at_once


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that the inbox runs."""
    heard: list[str] = []
    execute = inbox.execute

    def listen(statement: str, parameters: Any = None) -> Any:
        heard.append(statement)
        return execute(statement, parameters)

    monkeypatch.setattr(inbox, "execute", listen)
    return heard


def test_an_event_is_stored_as_it_came(tenant: Tenant, now: Any) -> None:
    received = publish_event(
        "ada", "signed_up", data={"plan": "pro"}, tenant=tenant, correlation_id="c", causation_depth=2
    )

    event = InboundEvent.objects.get(event_id=received.event_id)
    assert (event.participant_id, event.event_type, event.data) == ("ada", "signed_up", {"plan": "pro"})
    assert (event.source, event.correlation_id, event.causation_depth) == ("python", "c", 2)
    assert (event.occurred_at, event.received_at, event.routed_at, event.effects) == (now(), now(), None, [])
    assert not received.duplicate


def test_the_router_is_rung_once_and_only_for_news(tenant: Tenant, rung: list[bells.Bell]) -> None:
    with transaction.atomic():
        publish_event("ada", "a", event_id="1", tenant=tenant)
        publish_event("ada", "b", tenant=tenant)
        assert rung == []
    assert rung == [bells.Bell.ROUTE]

    publish_event("ada", "a", event_id="1", tenant=tenant)

    assert rung == [bells.Bell.ROUTE]


def test_the_second_of_the_same_id_changes_nothing(tenant: Tenant) -> None:
    publish_event("ada", "paid", data={"sum": 1, "of": 2}, event_id="1", tenant=tenant)

    same = publish_event("ada", "paid", data={"of": 2, "sum": 1}, event_id="1", tenant=tenant)
    other = publish_event("ada", "paid", data={"sum": 2, "of": 2}, event_id="1", tenant=tenant)

    assert (same.duplicate, same.payload_mismatch) == (True, False)
    assert (other.duplicate, other.payload_mismatch, other.event_id) == (True, True, "1")
    assert InboundEvent.objects.get().data == {"sum": 1, "of": 2}


def test_the_same_id_in_two_tenants_is_two_events(tenant: Tenant, other_tenant: Tenant) -> None:
    publish_event("ada", "paid", event_id="1", tenant=tenant)

    assert not publish_event("bob", "paid", event_id="1", tenant=other_tenant.pk).duplicate
    assert InboundEvent.objects.count() == 2


def test_an_event_goes_with_the_callers_transaction(tenant: Tenant, rung: list[bells.Bell]) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        publish_event("ada", "paid", tenant=tenant)
        raise RuntimeError

    assert not InboundEvent.objects.exists()
    assert rung == []


def test_a_thousand_are_one_statement(tenant: Tenant, seen: list[str]) -> None:
    events = [Incoming(f"p{i}", "seen", {"i": i}) for i in range(1000)]

    with CaptureQueriesContext(connection) as others:
        received = inbox.receive(tenant.pk, events)

    assert seen == [inbox.STORE]
    assert not others.captured_queries
    assert len({each.event_id for each in received}) == InboundEvent.objects.count() == 1000


def test_duplicates_within_one_batch(tenant: Tenant, seen: list[str]) -> None:
    publish_event("ada", "a", event_id="old", tenant=tenant)
    seen.clear()
    batch = [("z", "first"), ("old", "x"), ("a", "only"), ("z", "second"), ("z", "first")]

    received = inbox.receive(tenant.pk, [Incoming("ada", "a", {"v": value}, event_id) for event_id, value in batch])

    assert [each.duplicate for each in received] == [False, True, False, True, True]
    assert [each.payload_mismatch for each in received] == [False, True, False, True, False]
    assert InboundEvent.objects.get(event_id="z").data == {"v": "first"}
    assert len(seen) == 2


def test_an_event_of_the_future_happened_when_it_came(tenant: Tenant, now: Any) -> None:
    later = now() + timedelta(hours=1)
    soon = now() + timedelta(minutes=4)
    publish_event("ada", "a", event_id="later", occurred_at=later, tenant=tenant)
    publish_event("ada", "a", event_id="soon", occurred_at=soon, tenant=tenant)
    publish_event("ada", "a", event_id="early", occurred_at=datetime(1970, 1, 1, tzinfo=UTC), tenant=tenant)

    stored = {event.event_id: event for event in InboundEvent.objects.all()}
    assert (stored["later"].occurred_at, stored["later"].occurred_as_sent) == (now() + timedelta(minutes=5), later)
    assert (stored["soon"].occurred_at, stored["soon"].occurred_as_sent) == (soon, None)
    assert stored["early"].occurred_at.year == 1970


@pytest.mark.parametrize(
    "wrong",
    [
        {"participant_id": ""},
        {"participant_id": 5},
        {"event_type": " "},
        {"event_type": "a\0"},
        {"event_type": "\ud800"},
        {"event_id": "x" * 256},
        {"data": [1]},
        {"data": {"big": 2**70}},
        {"data": {1: 2}},
        {"data": {"a": float}},
        {"occurred_at": datetime(2030, 1, 1)},
    ],
)
def test_what_cannot_be_an_event_is_refused(tenant: Tenant, wrong: dict[str, Any]) -> None:
    told = {"participant_id": "ada", "event_type": "a", "tenant": tenant} | wrong

    with pytest.raises(errors.InvalidEvent):
        publish_event(told.pop("participant_id"), told.pop("event_type"), **told)

    assert not InboundEvent.objects.exists()


def test_many_senders_of_the_same_event_store_one(tenant: Tenant) -> None:
    received = at_once([lambda: publish_event("ada", "a", event_id="1", tenant=tenant)] * 8)

    assert sorted(each.duplicate for each in received) == [False] + [True] * 7
    assert InboundEvent.objects.count() == 1


def test_batches_with_the_same_events_in_any_order_do_not_deadlock(tenant: Tenant) -> None:
    events = [Incoming(f"p{i}", "a", {}, event_id=f"e{i:03}") for i in range(200)]

    batches = at_once([lambda: inbox.receive(tenant.pk, events), lambda: inbox.receive(tenant.pk, events[::-1])] * 3)

    assert sum(not each.duplicate for batch in batches for each in batch) == 200
    assert InboundEvent.objects.count() == 200
