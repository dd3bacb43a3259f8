"""Instances per second through three no-op side effects, each recorded before and after."""

from typing import Any

from benchmarks import figures, graphs, passage
from benchmarks.bench import Bench


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    participants = bench.size(10_000, 1_000)
    with bench.running():
        rates, cost = passage.measure(bench, graphs.chain("noop_activity", 3), participants)
    return {"instances_per_s": figures.of_runs(rates), "instances": participants, "per_instance": cost}
