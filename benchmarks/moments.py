"""How long one thing takes, as seen from outside: the same for a trigger and for an event."""

import time
from collections.abc import Callable
from typing import Any

from benchmarks import figures
from benchmarks.bench import wait_until
from engine.connections import raw

JSON = dict[str, Any]

POLL_S = 0.001
PAUSE_S = 0.03
IS_COMPLETED = "SELECT 1 FROM flow_instances WHERE id = %s AND status = 'completed'"


def until_completed(act: Callable[[], str]) -> float:
    """Milliseconds from before `act` (which gives an instance's id) until that instance is seen to be completed."""
    on = raw()
    began = time.perf_counter()
    instance = act()
    wait_until(
        lambda: on.execute(IS_COMPLETED, [instance], prepare=True).fetchone(), what="it to complete", tick=POLL_S
    )
    taken = time.perf_counter() - began
    time.sleep(PAUSE_S)
    return taken * 1000


def summary(runs: list[list[float]]) -> JSON:
    """Percentiles of several runs, in milliseconds."""
    return {
        f"p{percent}_ms": figures.of_runs([figures.percentile(run, percent) for run in runs], 2)
        for percent in (50, 95, 99)
    }
