"""Many waits that are due at one moment: how late they are, and what they cost while they wait."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from benchmarks import figures, graphs, system
from benchmarks.bench import Bench
from benchmarks.failures import Unaccounted
from benchmarks.system import Reading
from flows.models import Flow

# On the server's clock, which is the engine's too.
LATENESS = "SELECT extract(epoch FROM completed_at - %s)::float8 FROM flow_instances WHERE flow_id = %s"
SERVER_NOW = "SELECT clock_timestamp()"


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    participants = bench.size(10_000, 1_000)
    ahead = timedelta(seconds=bench.size(15, 5))
    runs, memory, costs = [], [], []
    with bench.running() as supervisor:
        for number in range(1, bench.runs + 1):
            due = _query(SERVER_NOW, [])[0] + ahead
            before_waiting = system.memory_mib(list(supervisor.processes.values()))
            flow = bench.publish(graphs.waiting_until(due))
            before = Reading.now()
            bench.start(flow, participants)
            bench.wait_while(flow, "running")
            if datetime.now(tz=UTC) > due:
                raise Unaccounted("The timers came due before all of them were armed.")
            memory.append(system.memory_mib(list(supervisor.processes.values())) - before_waiting)
            bench.wait_while(flow, "running", "waiting")
            bench.account(flow, "completed", participants)
            costs.append(Reading.now().since(before, participants))
            runs.append(_lateness(flow, due))
            bench.note(f"  run {number}: the last {max(runs[-1]):.3f} s late")
    return {
        **{
            f"late_p{percent}_s": figures.of_runs([figures.percentile(run, percent) for run in runs], 3)
            for percent in (50, 99)
        },
        "late_max_s": figures.of_runs([max(run) for run in runs], 3),
        "memory_of_waiting_mib": figures.of_runs(memory),
        "timers": participants,
        "per_instance": figures.merge(costs),
    }


def _lateness(flow: Flow, due: datetime) -> list[float]:
    found = _query(LATENESS, [due, flow.pk])
    if min(found) < 0:
        raise Unaccounted(f"A timer fired {-min(found):.3f} s early.")
    return found


def _query(statement: str, parameters: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [row[0] for row in cursor.fetchall()]
