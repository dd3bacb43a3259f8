"""Handlers that are called on workers: after the commit, at least once, each event once, tried again, parked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from engine import Retry, activity_worker, repairs
from engine.bus import EventBus, publish_to_process
from engine.errors import InvalidEvent, InvalidRetry, InvalidSubscription
from engine.event_store.events import Event
from engine.models import Activity
from tenants.models import Tenant
from tests.engine.bus import handlers
from tests.engine.bus.handlers import also, fail, fail_at_first, fail_oddly, gently, note
from tests.support.races import Meanwhile

Work = Callable[[], None]

SOON = Retry(attempts=3, backoff_s=0.01)


def paid(amount: int = 1, **known: Any) -> Event:
    return Event("paid", {"amount": amount}, **known)


def test_a_handler_hears_of_an_event_once_it_is_committed(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", note)

    with transaction.atomic():
        bus.publish_sync(paid(5))
        with Meanwhile(lambda: activity_worker.run(slice_s=1.0)) as worker:
            worker.answer()
        assert handlers.names() == []
    work()

    assert handlers.data("note") == [{"amount": 5}]
    assert Activity.objects.get().status == "completed"


def test_nobody_hears_of_what_is_rolled_back(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", note)

    with transaction.atomic():
        bus.publish_sync(paid(1, aggregate_id="a"))
        with transaction.atomic():
            bus.publish_sync(paid(2, aggregate_id="a"))
            transaction.set_rollback(True)
    with transaction.atomic():
        bus.publish_sync(paid(3, aggregate_id="a"))
        transaction.set_rollback(True)
    work()

    assert handlers.data("note") == [{"amount": 1}]


def test_an_asynchronous_handler_is_called_too(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", gently)

    bus.publish_sync(paid())
    work()

    assert handlers.names() == ["gently"]


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ("step_completed:pay", ["step_completed:pay"]),
        ("step_completed:*", ["step_completed:pay", "step_completed:ship"]),
        ("*", ["paid", "step_completed:pay", "step_completed:ship"]),
        ("step_completed", []),
    ],
)
def test_a_subscription_is_for_a_type_for_all_or_for_those_that_begin_alike(
    bus: EventBus, work: Work, pattern: str, heard: list[str]
) -> None:
    bus.subscribe(pattern, note)

    for name in ("paid", "step_completed:pay", "step_completed:ship"):
        bus.publish_sync(Event(name))
    work()

    assert sorted(event.type for _, event in handlers.told) == heard


def test_the_same_subscription_twice_is_one_and_so_are_two_that_overlap(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", note)
    bus.subscribe("paid", note)
    bus.subscribe("*", note)

    bus.publish_sync(paid())
    work()

    assert handlers.names() == ["note"]


def test_who_has_unsubscribed_hears_nothing_new(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", note)
    bus.publish_sync(paid(1))

    assert bus.unsubscribe("paid", note)
    assert not bus.unsubscribe("paid", note)
    bus.publish_sync(paid(2))
    work()

    assert handlers.data("note") == [{"amount": 1}]


def test_an_event_counts_once_for_each_handler_however_often_it_is_told(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", note)
    bus.subscribe("paid", also)
    told = bus.publish_sync(paid(event_id="payment-1"))

    bus.publish_sync(paid(event_id="payment-1"))
    publish_to_process(told.tenant_id, [told])
    bus.announce([told])
    work()

    assert sorted(handlers.names()) == ["also", "note"]


def test_a_handler_that_fails_is_tried_again_then_parked_and_hinders_nobody(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", fail, retry=SOON)
    bus.subscribe("paid", note)

    for amount in range(3):
        bus.publish_sync(paid(amount, aggregate_id="account"))
    work()

    assert handlers.data("note") == [{"amount": 0}, {"amount": 1}, {"amount": 2}]
    assert [each["amount"] for each in handlers.data("fail")] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    parked = Activity.objects.filter(status="parked")
    assert {each.error["code"] for each in parked} == {"ValueError"}
    assert {each.target for each in parked} == {"tests.engine.bus.handlers:fail"}
    assert len(parked) == 3


def test_an_error_that_is_not_worth_another_attempt_is_parked_at_once(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", fail, retry=Retry(attempts=9, non_retryable=(ValueError,)))

    bus.publish_sync(paid())
    work()

    assert handlers.names() == ["fail"]
    assert Activity.objects.get().status == "parked"


def test_an_error_below_one_that_is_final_is_final_too(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", fail_oddly, retry=Retry(attempts=9, non_retryable=(ValueError,)))

    bus.publish_sync(paid())
    work()

    assert handlers.names() == ["fail_oddly"]
    assert Activity.objects.get().status == "parked"


def test_an_error_that_says_what_cannot_be_stored_is_tried_again_all_the_same(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", fail_oddly, retry=SOON)

    bus.publish_sync(paid())
    work()

    assert handlers.names() == ["fail_oddly"] * SOON.attempts
    assert Activity.objects.get().error["detail"] == "UnicodeError: no luck: �"


def test_a_dead_letter_that_an_operator_retries_is_delivered(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", fail_at_first, retry=Retry(attempts=1))
    for amount in range(2):
        bus.publish_sync(paid(amount, aggregate_id="account"))
    work()
    parked = Activity.objects.get(status="parked")

    repairs.retry_activity(parked.pk, actor="grace")
    work()

    assert [each["amount"] for each in handlers.data("fail_at_first")] == [0, 1, 0]
    assert not Activity.objects.exclude(status="completed").exists()


def test_a_registered_handler_is_found_by_its_name(bus: EventBus, work: Work) -> None:
    heard: list[Event] = []

    @bus.handler("book-keeper")
    def keep(event: Event) -> None:
        heard.append(event)

    bus.subscribe("paid", keep)
    bus.publish_sync(paid())
    work()

    assert [event.type for event in heard] == ["paid"]
    assert Activity.objects.get().target == "book-keeper"
    with pytest.raises(InvalidSubscription, match="belongs to"):
        bus.handler("book-keeper")(note)


def test_an_address_that_leads_nowhere_is_tried_again_and_then_parked(bus: EventBus, work: Work) -> None:
    bus.handler("gone")(note)
    bus.subscribe("paid", note, retry=SOON)
    bus.publish_sync(paid())
    Activity.objects.update(target="tests.engine.bus.handlers:gone")

    work()

    parked = Activity.objects.get()
    assert (parked.status, parked.attempts, parked.error["code"]) == ("parked", 3, "unknown_handler")


def test_two_tenants_never_meet(tenant: Tenant, other_tenant: Tenant, work: Work) -> None:
    ours, theirs = EventBus(tenant), EventBus(other_tenant.pk)
    ours.subscribe("paid", note)
    theirs.subscribe("paid", also)
    same = {"event_id": "1", "aggregate_type": "account", "aggregate_id": "a"}

    ours.publish_sync(paid(1, **same))
    theirs.publish_sync(paid(2, **same))
    work()

    assert sorted((name, event.data["amount"], event.tenant_id) for name, event in handlers.told) == [
        ("also", 2, str(other_tenant.pk)),
        ("note", 1, str(tenant.pk)),
    ]
    assert len(set(Activity.objects.values_list("lane", flat=True))) == 2
    with pytest.raises(InvalidEvent, match="another tenant"):
        ours.publish_sync(paid(tenant_id=str(other_tenant.pk)))


def test_without_a_tenant_the_bus_is_that_of_the_default_one(transactional_db: None, work: Work) -> None:
    default = Tenant.objects.get(name="default")
    EventBus().subscribe("paid", note)

    EventBus(default).publish_sync(paid(1))
    EventBus().publish_sync(paid(2))
    work()

    assert [event.tenant_id for _, event in handlers.told] == [str(default.pk)] * 2


@pytest.mark.parametrize("pattern", ["", " ", None, 5, "a*b", "**", "x" * 256])
def test_a_pattern_that_means_nothing_is_refused(bus: EventBus, pattern: Any) -> None:
    with pytest.raises(InvalidSubscription) as refused:
        bus.subscribe(pattern, note)

    assert refused.value.attr == "event_type"


@pytest.mark.parametrize("handler", [None, "note", lambda: None, lambda a, b: None])
def test_what_cannot_be_called_with_one_event_is_refused(bus: EventBus, handler: Any) -> None:
    with pytest.raises(InvalidSubscription) as refused:
        bus.subscribe("paid", handler)
    assert refused.value.attr == "handler"


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), "1", None, True])
def test_a_timeout_that_means_nothing_is_refused(bus: EventBus, timeout: Any) -> None:
    with pytest.raises(InvalidSubscription) as refused:
        bus.subscribe("paid", note, timeout=timeout)
    assert refused.value.attr == "timeout"


def test_a_retry_that_is_none_is_refused(bus: EventBus) -> None:
    with pytest.raises(InvalidRetry) as refused:
        bus.subscribe("paid", note, retry=3)  # type: ignore[arg-type]
    assert refused.value.attr == "retry"


@pytest.mark.parametrize(
    ("event", "attr"),
    [
        (Event(""), "type"),
        (Event("x" * 256), "type"),
        (Event("paid", {"at": object()}), "data"),
        (Event("paid", {"name": "nul \0"}), "data"),
        (Event("paid", {"name": "\ud800"}), "data"),
        (Event("paid", {"amount": float("nan")}), "data"),
        (Event("paid", {"amount": 2**70}), "data"),
        (Event("paid", {1: 2}), "data"),
        (Event("paid", [1]), "data"),  # type: ignore[arg-type]
        (Event("paid", {}, metadata={"saga_id": "\0"}), "metadata"),
        (Event("paid", {}, aggregate_id="\0"), "aggregate_id"),
        (Event("paid", {}, aggregate_id="\ud800"), "aggregate_id"),
        (Event("paid", {}, event_id="x" * 256), "event_id"),
        ("paid", None),
    ],
)
def test_an_event_that_nobody_could_be_told_is_refused_and_changes_nothing(
    bus: EventBus, event: Any, attr: str | None
) -> None:
    bus.subscribe("*", note)

    with transaction.atomic():
        with pytest.raises(InvalidEvent) as refused:
            bus.publish_sync(event)
        bus.publish_sync(paid())

    assert refused.value.attr == attr
    assert Activity.objects.count() == 1


def test_an_event_that_nobody_wants_costs_no_statement(bus: EventBus, tenant: Tenant) -> None:
    bus.subscribe("refunded", note)
    bus.publish_sync(paid())

    unwanted = paid(tenant_id=str(tenant.pk))
    with CaptureQueriesContext(connection) as asked:
        publish_to_process(str(tenant.pk), [unwanted])
        bus.announce([unwanted])

    assert len(asked) == 0
    assert not Activity.objects.exists()
