"""Handlers of this process: after the commit, in the background, tried again, in order, each with its own context."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from typing import Any

import pytest
import structlog
from django.db import transaction

from engine import Retry
from engine.bus import EventBus
from engine.event_store.events import Event
from engine.models import Activity
from engine.saga_context import current_saga_id
from tenants.models import Tenant
from tests.support.processes import python
from tests.support.races import Meanwhile

SOON = Retry(attempts=3, backoff_s=0.001)


def paid(amount: int = 1, **known: Any) -> Event:
    return Event("paid", {"amount": amount}, **known)


def listening(bus: EventBus, pattern: str = "paid", **options: Any) -> list[Any]:
    heard: list[Any] = []
    bus.subscribe(pattern, lambda event: heard.append(event.data["amount"]), **options)
    return heard


def test_a_closure_hears_after_the_commit_and_never_after_a_rollback(bus: EventBus) -> None:
    heard = listening(bus)

    with transaction.atomic():
        bus.publish_sync(paid(1))
        with transaction.atomic():
            bus.publish_sync(paid(2))
            transaction.set_rollback(True)
        bus.drain_sync(timeout=60)
        assert heard == []
    with transaction.atomic():
        bus.publish_sync(paid(3))
        transaction.set_rollback(True)
    bus.drain_sync(timeout=60)

    assert heard == [1]
    assert not Activity.objects.exists()


def test_on_a_loop_closures_are_called_there(bus: EventBus) -> None:
    async def go() -> list[Any]:
        here, heard = asyncio.get_running_loop(), list[Any]()

        async def handler(event: Event) -> None:
            heard.append((event.data["amount"], asyncio.get_running_loop() is here))

        bus.subscribe("paid", handler)
        for amount in range(3):
            await bus.publish(paid(amount, aggregate_id="a"))
        await bus.drain(timeout=60)
        return heard

    assert asyncio.run(go()) == [(0, True), (1, True), (2, True)]


def test_what_is_published_elsewhere_is_told_on_the_loop_of_its_subscriber(bus: EventBus) -> None:
    async def go() -> bool:
        came = asyncio.Event()

        async def handler(_: Event) -> None:
            came.set()

        bus.subscribe("paid", handler)
        with Meanwhile(lambda: bus.publish_sync(paid())) as publisher:
            publisher.answer()
        await asyncio.wait_for(came.wait(), 60)
        return True

    assert asyncio.run(go())


def test_a_synchronous_closure_does_not_hold_up_the_loop(bus: EventBus) -> None:
    async def go() -> bool:
        gate = threading.Event()
        bus.subscribe("paid", lambda _: gate.wait(60))
        await bus.publish(paid())
        await asyncio.sleep(0)
        gate.set()
        await bus.drain(timeout=60)
        return gate.is_set()

    assert asyncio.run(go())


def test_a_closure_that_fails_is_tried_again_then_counted_and_hinders_nobody(bus: EventBus) -> None:
    heard, tries = listening(bus), list[int]()

    async def fail(event: Event) -> None:
        tries.append(event.data["amount"])
        raise ValueError("no luck")

    bus.subscribe("paid", fail, retry=SOON)

    with structlog.testing.capture_logs() as lines:
        for amount in range(2):
            bus.publish_sync(paid(amount, aggregate_id="a"))
        bus.drain_sync(timeout=60)

    assert (heard, tries, bus.dead_letters) == ([0, 1], [0, 0, 0, 1, 1, 1], 2)
    assert [line["event"] for line in lines] == ["bus.dead_letter"] * 2


@pytest.mark.parametrize("failure", [asyncio.CancelledError, SystemExit, KeyboardInterrupt])
def test_what_a_closure_raises_never_ends_the_lane(bus: EventBus, failure: type[BaseException]) -> None:
    heard: list[int] = []

    async def fail_at_first(event: Event) -> None:
        heard.append(event.data["amount"])
        if len(heard) == 1:
            raise failure

    bus.subscribe("paid", fail_at_first, retry=SOON)

    for amount in range(2):
        bus.publish_sync(paid(amount, aggregate_id="a"))
    bus.drain_sync(timeout=60)

    assert heard == [0, 0, 1]


def test_an_asynchronous_closure_is_given_so_much_time(bus: EventBus) -> None:
    async def hang(_: Event) -> None:
        await asyncio.Event().wait()

    bus.subscribe("paid", hang, retry=Retry(attempts=1), timeout=0.01)

    bus.publish_sync(paid())
    bus.drain_sync(timeout=60)

    assert bus.dead_letters == 1


def test_one_aggregates_events_reach_a_closure_one_after_the_other(bus: EventBus) -> None:
    busy, heard, overlaps = set[str](), list[tuple[str, int]](), list[str]()

    async def handler(event: Event) -> None:
        if event.aggregate_id in busy:
            overlaps.append(event.aggregate_id)
        busy.add(event.aggregate_id)
        await asyncio.sleep(0)
        busy.discard(event.aggregate_id)
        heard.append((event.aggregate_id, event.data["amount"]))

    bus.subscribe("paid", handler)

    for amount in range(20):
        for name in "abc":
            bus.publish_sync(paid(amount, aggregate_id=name))
    bus.drain_sync(timeout=60)

    assert overlaps == []
    for name in "abc":
        assert [amount for known, amount in heard if known == name] == list(range(20))


def test_two_hundred_handlers_that_interleave_see_each_its_own_context(bus: EventBus, tenant: Tenant) -> None:
    seen: list[bool] = []

    def is_own(event: Event) -> bool:
        bound = structlog.contextvars.get_contextvars()
        known = (current_saga_id.get(), bound["correlation_id"], bound["tenant"], bound["event"])
        return known == (event.data["saga"], f"c-{event.data['saga']}", str(tenant.pk), event.event_id)

    async def go() -> None:
        meeting = asyncio.Barrier(200)

        async def handler(event: Event) -> None:
            before = is_own(event)
            await meeting.wait()
            current_saga_id.set("somebody else's")
            await asyncio.sleep(0)
            current_saga_id.set(event.data["saga"])
            seen.append(before and is_own(event))

        bus.subscribe("done", handler)
        for number in range(200):
            name = f"saga-{number}"
            metadata = {"saga_id": name, "correlation_id": f"c-{name}"}
            await bus.publish(Event("done", {"saga": name}, metadata=metadata, aggregate_id=name))
        await bus.drain(timeout=60)

    asyncio.run(go())

    assert seen == [True] * 200
    assert current_saga_id.get() is None


def test_synchronous_closures_on_threads_see_their_own_context_too(bus: EventBus) -> None:
    meeting, seen = threading.Barrier(16), list[bool]()

    def handler(event: Event) -> None:
        meeting.wait(60)
        seen.append(current_saga_id.get() == event.data["saga"])

    bus.subscribe("done", handler)

    for number in range(16):
        bus.publish_sync(Event("done", {"saga": f"s{number}"}, metadata={"saga_id": f"s{number}"}))
    bus.drain_sync(timeout=60)

    assert seen == [True] * 16


def test_an_event_belongs_to_the_saga_and_the_request_that_it_is_published_in(bus: EventBus) -> None:
    heard: list[dict[str, Any]] = []
    bus.subscribe("paid", lambda event: heard.append(event.metadata))

    before = current_saga_id.set("order-1")
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        bus.publish_sync(paid())
        bus.publish_sync(paid(metadata={"saga_id": "order-2", "actor": "grace"}))
    current_saga_id.reset(before)
    bus.drain_sync(timeout=60)

    assert sorted(heard, key=str) == [
        {"saga_id": "order-1", "correlation_id": "r-1"},
        {"saga_id": "order-2", "correlation_id": "r-1", "actor": "grace"},
    ]


def test_a_handler_may_change_its_event_and_nobody_sees_it(bus: EventBus) -> None:
    heard: list[Any] = []

    def spoil(event: Event) -> None:
        heard.append(event.data.pop("amount", "spoilt"))

    bus.subscribe("paid", spoil)
    bus.subscribe("*", lambda event: heard.append(event.data.get("amount", "spoilt")))

    told = bus.publish_sync(paid(7))
    bus.drain_sync(timeout=60)

    assert (heard, told.data) == ([7, 7], {"amount": 7})


def test_buses_do_not_share_closures_and_who_unsubscribed_hears_nothing(bus: EventBus, tenant: Tenant) -> None:
    other = EventBus(tenant)
    heard: list[int] = []

    def handler(event: Event) -> None:
        heard.append(event.data["amount"])

    bus.subscribe("paid", handler)
    bus.subscribe("paid", handler)
    other.publish_sync(paid(1))
    bus.publish_sync(paid(2))
    bus.drain_sync(timeout=60)
    assert bus.unsubscribe("paid", handler)
    bus.publish_sync(paid(3))
    bus.drain_sync(timeout=60)

    assert heard == [2]


def test_waiting_takes_no_longer_than_asked_for(bus: EventBus) -> None:
    gate = threading.Event()
    bus.subscribe("paid", lambda _: gate.wait(60))
    bus.publish_sync(paid())

    with pytest.raises(TimeoutError):
        bus.drain_sync(timeout=0.01)
    with pytest.raises(TimeoutError):
        asyncio.run(bus.drain(timeout=0.01))
    gate.set()
    bus.drain_sync(timeout=60)


def test_waiting_on_the_loop_itself_is_refused(bus: EventBus) -> None:
    async def go() -> None:
        bus.drain_sync()

    with pytest.raises(RuntimeError, match="await"):
        asyncio.run(go())


SCRIPT = """
import asyncio, django
django.setup()
from engine.bus import EventBus
from engine.event_store.events import Event

async def main():
    bus = EventBus()

    async def slow(event):
        await asyncio.sleep(0.05)
        print("slow", event.data["amount"], flush=True)

    bus.subscribe("paid", slow)
    bus.subscribe("paid", on_paid)
    for amount in range(3):
        await bus.publish(Event("paid", {"amount": amount}, aggregate_id="a"))

def on_paid(event):
    print("quick", event.data["amount"], flush=True)

asyncio.run(main())
"""


def test_a_program_that_ends_at_once_has_told_its_closures(
    process_environment: dict[str, str], django_db_blocker: Any
) -> None:
    ended: subprocess.CompletedProcess[str] = python(
        "-c", SCRIPT, env=process_environment | {"DJANGO_SETTINGS_MODULE": "kalcifer.settings"}
    )

    assert ended.returncode == 0, ended.stderr
    said = ended.stdout.split("\n")
    assert [line for line in said if line.startswith("slow")] == ["slow 0", "slow 1", "slow 2"]
    assert [line for line in said if line.startswith("quick")] == ["quick 0", "quick 1", "quick 2"]


def test_what_a_closure_changes_in_an_event_nobody_else_sees_and_not_its_own_next_attempt(bus: EventBus) -> None:
    attempts, others = list[Any](), list[Any]()

    def takes(event: Event) -> None:
        attempts.append(event.data["order"].pop("lines", None))
        raise ConnectionError

    bus.subscribe("ordered", takes, retry=SOON)
    bus.subscribe("ordered", lambda event: others.append(event.data), retry=SOON)
    bus.publish_sync(Event("ordered", {"order": {"lines": 3}}))
    bus.drain_sync(timeout=60)

    assert attempts == [3, 3, 3]
    assert others == [{"order": {"lines": 3}}]
