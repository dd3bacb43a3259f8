"""One aggregate's events reach one handler one after the other, whatever else goes on."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection, transaction

from engine import Retry, activities, activity_worker
from engine.bus import EventBus, lanes
from engine.event_store.events import Event
from engine.models import Activity
from engine.nodes.outcomes import Completed
from tests.engine.bus import handlers
from tests.engine.bus.handlers import also, fail_at_first, note
from tests.support.races import Meanwhile, at_once

Work = Callable[[], None]
META = {"actor": "test", "task_id": ""}
SOON = Retry(attempts=3, backoff_s=0.01)


def paid(amount: int, aggregate_id: str = "account") -> Event:
    return Event("paid", {"amount": amount}, aggregate_type="account", aggregate_id=aggregate_id)


def test_only_the_first_of_a_lane_is_there_to_be_taken(bus: EventBus) -> None:
    bus.subscribe("paid", note)
    bus.subscribe("paid", also)

    for amount in range(3):
        bus.publish_sync(paid(amount))
    bus.publish_sync(paid(9, "another"))

    assert len(activities.take(100, "worker")) == 4
    assert activities.take(100, "worker") == []


def test_events_of_no_aggregate_wait_for_nobody(bus: EventBus) -> None:
    bus.subscribe("paid", note)

    for amount in range(3):
        bus.publish_sync(paid(amount, ""))

    assert len(activities.take(100, "worker")) == 3


def test_the_next_is_not_begun_before_another_attempt_of_the_first(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", fail_at_first, retry=SOON)

    for amount in range(3):
        bus.publish_sync(paid(amount))
    work()

    assert [each["amount"] for each in handlers.data("fail_at_first")] == [0, 0, 1, 2]


def test_many_in_one_transaction_keep_their_order(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", note)

    with transaction.atomic():
        for amount in range(50):
            bus.publish_sync(paid(amount))
    with transaction.atomic():
        bus.announce([bus.publish_sync(paid(amount)) for amount in range(50, 60)])
    work()

    assert [each["amount"] for each in handlers.data("note")] == list(range(60))


def test_the_order_does_not_hang_on_the_clocks_of_the_processes(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", note)
    bus.publish_sync(paid(0))
    ahead = str(Activity.objects.get().pk)
    Activity.objects.update(id=f"0fffffff{ahead[8:]}")

    for amount in range(1, 4):
        bus.publish_sync(paid(amount))
    work()

    assert [each["amount"] for each in handlers.data("note")] == [0, 1, 2, 3]


def test_publishers_at_the_same_moment_leave_one_head(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", note)

    at_once([lambda amount=amount: bus.publish_sync(paid(amount)) for amount in range(8)])

    assert Activity.objects.filter(held=False).count() == 1
    assert not Activity.objects.order_by("id")[0].held
    work()
    assert sorted(each["amount"] for each in handlers.data("note")) == list(range(8))


def test_a_publisher_that_is_slow_to_commit_holds_up_nobody_and_its_event_is_not_lost(
    bus: EventBus, work: Work
) -> None:
    bus.subscribe("paid", note)
    bus.publish_sync(paid(0))

    with transaction.atomic():
        bus.publish_sync(paid(1))
        with Meanwhile(lambda: activity_worker.run(slice_s=5.0)) as worker:
            assert worker.answer(seconds=10) == 1
        assert Activity.objects.get(input__event__data__amount=0).status == "completed"
    assert not Activity.objects.filter(held=True).exists()
    work()

    assert [each["amount"] for each in handlers.data("note")] == [0, 1]


def test_what_is_committed_late_comes_behind_what_was_committed_before(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", note)
    with transaction.atomic():
        for amount in range(5):
            bus.publish_sync(paid(amount))
        for other in (10, 20):
            with Meanwhile(lambda other=other: bus.publish_sync(paid(other))) as publisher:
                publisher.answer()
        with Meanwhile(lambda: activities.take(10, "worker")) as worker:
            (head,) = worker.answer()
    assert activities.take(10, "worker") == []
    activities.record([activities.judge(head, Completed())], META)
    work()

    assert head.input["event"]["data"] == {"amount": 10}
    assert [each["amount"] for each in handlers.data("note")] == [20, 0, 1, 2, 3, 4]


def test_outcomes_and_publishers_that_meet_never_strand_a_lane(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", note)
    names = [f"account-{number}" for number in range(5)]

    def publish() -> None:
        for amount in range(10):
            for name in names:
                bus.publish_sync(paid(amount, name))

    def finish() -> None:
        for _ in range(60):
            held = activities.take(10, "worker")
            activities.record([activities.judge(lease, Completed()) for lease in held], META)

    at_once([publish, finish, publish, finish])
    while activities.is_pending():
        finish()

    assert not Activity.objects.exclude(status="completed").exists()
    assert Activity.objects.count() == 100


def test_the_sweep_frees_a_lane_whose_publisher_died_after_its_commit(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", note)
    for amount in range(3):
        for number in range(5):
            bus.publish_sync(paid(amount, f"account-{number}"))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE activities SET held = true")
    assert activities.take(10, "worker") == []
    patrol = lanes.Patrol()

    assert [patrol.walk(limit=2) for _ in range(3)] == [2, 2, 1]
    assert patrol.walk() == 0
    work()

    assert len(handlers.told) == 15
    assert not Activity.objects.exclude(status="completed").exists()


def test_a_lane_goes_on_behind_one_whose_worker_died_too_often(bus: EventBus, work: Work) -> None:
    bus.subscribe("paid", note)
    for amount in range(2):
        bus.publish_sync(paid(amount))

    for take in (activities.take, activities.take_suspect, activities.take_suspect):
        assert take(1, "worker") if take is activities.take else take("worker")  # type: ignore[operator]
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE activities SET lease_until = clock_timestamp() - interval '1 s' WHERE lease_until > '-infinity'"
            )
        activities.reclaim(META)
    work()

    assert [each["amount"] for each in handlers.data("note")] == [1]
    assert Activity.objects.get(status="parked").error["code"] == "quarantined"
