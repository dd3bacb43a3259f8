"""Events per second into the event store: one at a time on one connection, awaited, and in batches of two writers."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import uuid_utils
from django.db import connection

from benchmarks import figures
from benchmarks.bench import Bench
from benchmarks.failures import Unaccounted
from benchmarks.system import Reading
from engine import Append, Event, EventStore
from engine.models import StoredEvent

AGGREGATES = 100
PER_AGGREGATE = 10
PER_BATCH = AGGREGATES * PER_AGGREGATE
WRITERS = 2
WARM_UP = 50

Ref = tuple[str, str]


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    store = EventStore(bench.tenant)
    singles, batches = bench.size(5_000, 500), bench.size(200, 10)
    aggregates = _refs()

    one = _measure(bench, "one at a time", singles, lambda n: _one_at_a_time(store, aggregates, n))
    awaited = _measure(bench, "awaited", singles, lambda n: asyncio.run(_awaited(store, aggregates, n)))
    many = _measure(bench, "in batches", batches * PER_BATCH, lambda n: _by_writers(store, n))
    return {
        "events_per_s": figures.of_runs(many[0]),
        "single_per_s": figures.of_runs(one[0]),
        "single_awaited_per_s": figures.of_runs(awaited[0]),
        "events_per_batch": PER_BATCH,
        "aggregates_per_batch": AGGREGATES,
        "writers": WRITERS,
        "per_event": figures.merge(many[1]),
        "per_single": figures.merge(one[1]),
        "per_single_awaited": figures.merge(awaited[1]),
    }


def _measure(
    bench: Bench, what: str, events: int, append: Callable[[int], None]
) -> tuple[list[float], list[dict[str, Any]]]:
    append(min(WARM_UP, events))
    rates, costs = [], []
    for number in range(1, bench.runs + 1):
        stored, before, began = StoredEvent.objects.count(), Reading.now(), time.perf_counter()
        append(events)
        seconds = time.perf_counter() - began
        costs.append(Reading.now().since(before, events))
        rates.append(events / seconds)
        if (found := StoredEvent.objects.count() - stored) != events:
            raise Unaccounted(f"{events} events were appended, and {found} are in the log.")
        bench.note(f"  run {number}: {rates[-1]:,.0f} events per second {what}")
    return rates, costs


def _refs() -> list[Ref]:
    return [("bench", str(uuid_utils.uuid7())) for _ in range(AGGREGATES)]


def _event(number: int) -> Event:
    return Event("deposited", {"amount": number, "by": "card", "text": "a deposit of the bench"})


def _one_at_a_time(store: EventStore, aggregates: list[Ref], events: int) -> None:
    for number in range(events):
        store.append_sync(aggregates[number % AGGREGATES], [_event(number)])


async def _awaited(store: EventStore, aggregates: list[Ref], events: int) -> None:
    for number in range(events):
        await store.append(aggregates[number % AGGREGATES], [_event(number)])


# Each on a thread with a connection and aggregates of its own.
def _by_writers(store: EventStore, events: int) -> None:
    def write(share: int) -> None:
        try:
            _in_batches(store, _refs(), share)
        finally:
            connection.close()

    shares = [events // WRITERS + (number < events % WRITERS) for number in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(write, shares))


def _in_batches(store: EventStore, aggregates: list[Ref], events: int) -> None:
    numbers, left = count(), events
    while left > 0:
        size = min(PER_AGGREGATE, left)
        touched = aggregates[: max(1, left // size)][:AGGREGATES]
        store.append_many_sync([Append(each, [_event(next(numbers)) for _ in range(size)]) for each in touched])
        left -= size * len(touched)
