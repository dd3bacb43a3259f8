"""Executions of no-op nodes per second, ten in a row; entry and exit are not counted."""

from typing import Any

from benchmarks import figures, graphs, passage
from benchmarks.bench import Bench

NODES = 10


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    participants = bench.size(10_000, 1_000)
    with bench.running():
        rates, cost = passage.measure(bench, graphs.chain("noop", NODES), participants)
    per_s = figures.of_runs([rate * NODES for rate in rates])
    return {"nodes_per_s": per_s, "instances": participants, "per_instance": cost}
