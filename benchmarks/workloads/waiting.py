"""Many instances that wait: memory of all processes, size of the database, latency of an event to one of them."""

from typing import Any

import orjson

from benchmarks import figures, graphs, moments, system
from benchmarks.bench import Bench, name_of
from benchmarks.http import Client
from flows.models import Flow
from kalcifer.supervisor import Supervisor

FEW = 100
WARM_UP = 30


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    many, samples = bench.size(100_000, 5_000), bench.size(200, 30)
    with bench.running() as supervisor:
        client = Client(supervisor.options.url, bench.api_key)
        # What a process has once used for its work it keeps; only what comes on top is the cost of waiting.
        _wait(bench, bench.size(5_000, 1_000))
        among_few = _latency(bench, client, samples, others=FEW)
        memory, size = _memory(supervisor), system.database_size()
        _wait(bench, many)
        bench.note(f"  {many:,} wait")
        memory_with, size_with = _memory(supervisor), system.database_size()
        among_many = _latency(bench, client, samples, others=0)
        client.close()
    return {
        "waiting": many,
        "memory_mib": round(memory, 1),
        "memory_with_waiting_mib": round(memory_with, 1),
        "memory_of_waiting_mib": round(memory_with - memory, 1),
        "database_bytes_per_waiting": round((size_with - size) / many),
        "event_among_few": moments.summary([among_few]),
        "event_among_waiting": moments.summary([among_many]),
        "ratio_p50": round(figures.percentile(among_many, 50) / figures.percentile(among_few, 50), 3),
    }


def _memory(supervisor: Supervisor) -> float:
    return system.memory_mib(list(supervisor.processes.values()))


def _wait(bench: Bench, participants: int) -> tuple[Flow, list[str]]:
    flow = bench.publish(graphs.waiting_for("go"))
    ids = bench.start(flow, participants)
    bench.wait_while(flow, "running")
    bench.account(flow, "waiting", participants)
    return flow, ids


def _latency(bench: Bench, client: Client, samples: int, *, others: int) -> list[float]:
    flow, ids = _wait(bench, samples + WARM_UP + others)

    def send(number: int) -> str:
        client.post("/events", orjson.dumps({"participant_id": name_of(flow, number), "event_type": "go"}))
        return ids[number]

    taken = [moments.until_completed(lambda number=number: send(number)) for number in range(samples + WARM_UP)]  # type: ignore[misc]  # bound now
    return taken[WARM_UP:]
