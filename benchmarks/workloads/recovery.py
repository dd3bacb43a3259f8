"""All workers killed with SIGKILL while instances are under way: how long until all of them are through."""

import time
from contextlib import suppress
from typing import Any

import psutil
from django.db import connection

from benchmarks import figures, graphs
from benchmarks.bench import Bench, wait_until
from benchmarks.failures import Unaccounted
from flows.models import Flow
from kalcifer.supervisor import Supervisor

WORKERS = ("advance", "activities", "background")
# A few more than are to be under way, as some are through when the blow falls.
SPARE = 1.3
STEPS = "SELECT 1 FROM flow_instances WHERE flow_id = %s AND step_count > 2 LIMIT 1"
LIVE = "SELECT count(*) FROM flow_instances WHERE flow_id = %s AND status IN ('running', 'waiting')"


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    wanted = bench.size(1_000, 200)
    seconds, from_ready, in_flight = [], [], []
    with bench.running() as supervisor:
        for number in range(1, bench.runs + 1):
            flow = bench.publish(graphs.mixed())
            bench.start(flow, int(wanted * SPARE))
            wait_until(lambda flow=flow: _count(STEPS, flow), what="somebody to move", tick=0.001)  # type: ignore[misc]  # bound now
            _kill(supervisor)
            killed = time.perf_counter()
            in_flight.append(_count(LIVE, flow))
            if not supervisor.wait_ready(60):
                raise Unaccounted("The workers did not come back.")
            ready = time.perf_counter()
            bench.wait_while(flow, "running", "waiting")
            seconds.append(time.perf_counter() - killed)
            from_ready.append(max(0.0, time.perf_counter() - ready))
            bench.account(flow, "completed", int(wanted * SPARE))
            bench.note(f"  run {number}: {in_flight[-1]:,} under way, all through {seconds[-1]:.2f} s after the kill")
    return {
        "seconds_from_kill": figures.of_runs(seconds, 2),
        "seconds_from_ready": figures.of_runs(from_ready, 2),
        "in_flight": figures.of_runs(in_flight, 0),
    }


# The pools below the workers too: nobody is left to end anything in order.
def _kill(supervisor: Supervisor) -> None:
    mains = [pid for role, pid in supervisor.processes.items() if role in WORKERS]
    pools = [process for pid in mains for process in psutil.Process(pid).children(recursive=True)]
    supervisor.kill(*WORKERS)
    for process in pools:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _count(statement: str, flow: Flow) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, [flow.pk])
        return int((cursor.fetchone() or (0,))[0])
