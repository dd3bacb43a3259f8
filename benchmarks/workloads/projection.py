"""Read models built from the log: a backlog, and how far they lag behind a writer of 10,000 events per second."""

import math
import time
from typing import Any

from django.db import connection

from benchmarks import figures, graphs
from benchmarks.bench import Bench, name_of, wait_until
from benchmarks.failures import Unaccounted
from benchmarks.system import Reading
from engine import triggers
from engine.execution import loop
from engine.models import FlowStatistic, NodeStatistic, StoredEvent
from engine.projections import lag, registry, rounds
from flows.models import Flow

# Of a run through ten no-ops: start, entry, ten nodes, exit, end.
EVENTS_PER_RUN = 14
PER_SECOND = 10_000
TICK_S = 0.1


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    runs, seconds = bench.size(8_000, 800), bench.size(20, 4)
    flow = bench.publish(graphs.chain("noop", 10))
    rates, costs = _backlogs(bench, flow, runs)
    lags, written = _beside_a_writer(bench, bench.publish(graphs.chain("noop", 10)), seconds)
    return {
        "events_per_s": figures.of_runs(rates),
        "lag_p50_s": round(figures.percentile(lags, 50), 3),
        "lag_p99_s": round(figures.percentile(lags, 99), 3),
        "lag_max_s": round(max(lags), 3),
        "written_per_s": round(written, 1),
        "events": runs * EVENTS_PER_RUN,
        "per_event": figures.merge(costs),
    }


# Nobody else runs projections meanwhile; all shipped ones read the whole of each backlog.
def _backlogs(bench: Bench, flow: Flow, runs: int) -> tuple[list[float], list[dict[str, Any]]]:
    rounds.run()
    rates, costs, started = [], [], 0
    for number in range(1, bench.runs + 1):
        before = StoredEvent.objects.count()
        started += _write(flow, started, runs)
        events = StoredEvent.objects.count() - before
        reading, began = Reading.now(), time.perf_counter()
        rounds.run()
        rates.append(events / (time.perf_counter() - began))
        costs.append(Reading.now().since(reading, events))
        _account(flow, started)
        bench.note(f"  run {number}: {rates[-1]:,.0f} events per second of a backlog of {events:,}")
    return rates, costs


def _beside_a_writer(bench: Bench, flow: Flow, seconds: float) -> tuple[list[float], float]:
    per_tick, lags, started = math.ceil(PER_SECOND * TICK_S / EVENTS_PER_RUN), list[float](), 0
    with bench.running("background", "sweeper"):
        connection.close()
        before, began = StoredEvent.objects.count(), time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            started += _write(flow, started, per_tick)
            lags.append(max(each.lag_s for each in lag.status(registry.names())))
            time.sleep(max(0.0, passed + TICK_S - (time.perf_counter() - began)))
        written = (StoredEvent.objects.count() - before) / (time.perf_counter() - began)
        wait_until(lambda: not rounds.is_behind(), what="the projections to catch up")
    _account(flow, started)
    bench.note(f"  beside {written:,.0f} events per second: {max(lags):.2f} s behind at most")
    return lags, written


def _write(flow: Flow, first: int, runs: int) -> int:
    for start in range(first, first + runs, 1_000):
        names = [name_of(flow, number) for number in range(start, min(start + 1_000, first + runs))]
        triggers.start_many(flow, names)
        loop.advance(slice_s=60.0, task_id="bench")
    return runs


def _account(flow: Flow, runs: int) -> None:
    completed = FlowStatistic.objects.filter(flow_id=flow.pk, kind="completed").values_list("n", flat=True)
    nodes = NodeStatistic.objects.filter(flow_id=flow.pk, kind="completed").values_list("n", flat=True)
    if (found := (sum(completed), sum(nodes))) != (wanted := (runs, runs * (EVENTS_PER_RUN - 2))):
        raise Unaccounted(f"{found} runs and nodes were counted, not {wanted}.")
