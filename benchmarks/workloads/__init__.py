"""The workloads by name: each is given the bench and returns its figures."""

from collections.abc import Callable
from typing import Any

from benchmarks.bench import Bench
from benchmarks.workloads import (
    activity3,
    append,
    chain3,
    chain10,
    events,
    growth,
    import_,
    latency,
    projection,
    recovery,
    saga_fail,
    saga_local,
    segments,
    sends,
    snapshot,
    timers,
    waiting,
)

Workload = Callable[[Bench], dict[str, Any]]

ALL: dict[str, Workload] = {
    "chain3": chain3.run,
    "chain10": chain10.run,
    "activity3": activity3.run,
    "latency": latency.run,
    "timers": timers.run,
    "events": events.run,
    "waiting": waiting.run,
    "recovery": recovery.run,
    "saga_fail": saga_fail.run,
    "saga_local": saga_local.run,
    "append": append.run,
    "projection": projection.run,
    "snapshot": snapshot.run,
    "growth": growth.run,
    "import": import_.run,
    "segments": segments.run,
    "sends": sends.run,
}
