"""Many participants through one flow: from the first start to the last commit."""

import time
from typing import Any

from benchmarks import figures
from benchmarks.bench import Bench
from benchmarks.system import Reading

JSON = dict[str, Any]

WARM_UP = 500


def measure(bench: Bench, graph: JSON, participants: int) -> tuple[list[float], JSON]:
    """Instances per second of each run, and what one costs; the processes have to run."""
    _once(bench, graph, WARM_UP)
    rates, costs = [], []
    for number in range(1, bench.runs + 1):
        before = Reading.now()
        seconds = _once(bench, graph, participants)
        costs.append(Reading.now().since(before, participants))
        rates.append(participants / seconds)
        bench.note(f"  run {number}: {rates[-1]:,.0f} instances per second ({participants:,} in {seconds:.2f} s)")
    return rates, figures.merge(costs)


def _once(bench: Bench, graph: JSON, participants: int) -> float:
    flow = bench.publish(graph)
    began = time.perf_counter()
    bench.start(flow, participants)
    bench.wait_while(flow, "running", "waiting")
    seconds = time.perf_counter() - began
    bench.account(flow, "completed", participants)
    return seconds
