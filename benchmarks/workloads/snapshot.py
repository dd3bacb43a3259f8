"""A long aggregate: loaded from its first event, and from a snapshot and the few events after it."""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from benchmarks import figures
from benchmarks.bench import Bench
from benchmarks.failures import Unaccounted
from engine import Aggregate, Event, EventStore, SnapshotManager
from engine.snapshots import folds, loading
from engine.snapshots.manager import EVERY
from tenants.ids import uuid7

TAIL = 100
PER_APPEND = 1_000
NEVER = 2**62
LOADS = 20


class Account(Aggregate):
    """A balance, and the last movements."""

    type = "bench_account"

    @classmethod
    def initial(cls) -> dict[str, Any]:
        """Nothing yet."""
        return {"balance": 0, "movements": 0, "last": []}

    def when_deposited(self, event: Event) -> None:
        """Count it."""
        self.state["balance"] += event.data["amount"]
        self.state["movements"] += 1
        self.state["last"] = [*self.state["last"][-9:], {"amount": event.data["amount"], "by": event.data["by"]}]


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    events = bench.size(100_000, 5_000)
    SnapshotManager.register_aggregate(Account)
    without, taking, with_one = list[float](), list[float](), list[float]()
    for number in range(1, bench.runs + 1):
        measured = _measure(bench, events)
        for runs, seconds in zip((without, taking, with_one), measured, strict=True):
            runs.append(seconds * 1e3)
        bench.note(f"  run {number}: {without[-1]:,.1f} ms from the log, {with_one[-1]:,.2f} ms with a snapshot")
    event_us = [ms * 1e3 / events for ms in without]
    return {
        "without_snapshot_ms": figures.of_runs(without, 2),
        "with_snapshot_ms": figures.of_runs(with_one, 3),
        "taking_ms": figures.of_runs(taking, 3),
        "event_us": figures.of_runs(event_us, 2),
        # So many events are folded in the time of taking one.
        "taking_in_events": figures.of_runs([ms * 1e3 / us for ms, us in zip(taking, event_us, strict=True)]),
        "events": events,
        "tail": TAIL,
        "every": EVERY,
    }


# Seconds of a load of all events, of taking a snapshot, and of a load with it.
def _measure(bench: Bench, events: int) -> tuple[float, float, float]:
    store, snapshots = EventStore(bench.tenant), SnapshotManager(bench.tenant, every=NEVER)
    account = (Account.type, uuid7())
    _append(store, account, events)
    without = _seconds(lambda: _check(snapshots.load_sync(account), events, events))
    of = loading.Aggregate(str(bench.tenant.pk), str(account[1]), folds.get(Account.type))
    loaded = snapshots.load_sync(account)
    takes = []
    for _ in range(LOADS):
        takes.append(_seconds(lambda: _take(of, loaded)))
        snapshots.discard_sync(account)
    _take(of, loaded)
    _append(store, account, TAIL)
    loads = [_seconds(lambda: _check(snapshots.load_sync(account), events + TAIL, TAIL)) for _ in range(LOADS)]
    return without, statistics.median(takes), statistics.median(loads)


def _append(store: EventStore, account: tuple[str, UUID], events: int) -> None:
    for batch in _batches(events):
        store.append_sync(account, batch)


def _batches(events: int) -> Iterator[list[Event]]:
    for first in range(0, events, PER_APPEND):
        numbers = range(first, min(first + PER_APPEND, events))
        yield [Event("deposited", {"amount": number % 100, "by": f"teller {number % 7}"}) for number in numbers]


def _check(loaded: loading.Loaded, sequence: int, folded: int) -> None:
    if (loaded.sequence, loaded.events) != (sequence, folded) or loaded.state["movements"] != sequence:
        raise Unaccounted(f"{folded} events should be folded up to {sequence}; it was {loaded}.")


def _take(of: loading.Aggregate, loaded: loading.Loaded) -> None:
    if not loading.take(of, loaded):
        raise Unaccounted("No snapshot was taken.")


def _seconds(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
