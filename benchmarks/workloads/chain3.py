"""Instances per second, started in bulk and run through three no-op nodes to the end."""

from typing import Any

from benchmarks import figures, graphs, passage
from benchmarks.bench import Bench


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    participants = bench.size(20_000, 2_000)
    with bench.running():
        rates, cost = passage.measure(bench, graphs.chain("noop", 3), participants)
    return {"instances_per_s": figures.of_runs(rates), "instances": participants, "per_instance": cost}
