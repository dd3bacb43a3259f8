"""Events per second through POST /events/batch, until each has moved the instance that waited for it."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from django.db import connection

from benchmarks import figures, graphs
from benchmarks.bench import Bench, name_of
from benchmarks.failures import Unaccounted
from benchmarks.http import Client
from benchmarks.system import Reading
from flows.models import Flow

CLIENTS = 4
PER_REQUEST = 1_000
WARM_UP = 1_000


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    events = bench.size(20_000, 2_000)
    rates, costs = [], []
    with bench.running() as supervisor:
        resume(bench, supervisor.options.url, WARM_UP)
        for number in range(1, bench.runs + 1):
            seconds, cost = resume(bench, supervisor.options.url, events)
            rates.append(events / seconds)
            costs.append(cost)
            bench.note(f"  run {number}: {rates[-1]:,.0f} events per second")
    accepted = _accept(bench, events)
    return {
        "events_per_s": figures.of_runs(rates),
        "accepted_per_s": figures.of_runs(accepted),
        "events": events,
        "clients": CLIENTS,
        "events_per_request": PER_REQUEST,
        "per_event": figures.merge(costs),
    }


def resume(bench: Bench, url: str, events: int) -> tuple[float, dict[str, Any]]:
    """Have so many instances wait, send each its event; give the seconds until all have gone on, and the cost."""
    flow = bench.publish(graphs.waiting_for("go"))
    bench.start(flow, events)
    bench.wait_while(flow, "running")
    bench.account(flow, "waiting", events)
    bodies = _bodies(flow, events)
    before, began = Reading.now(), time.perf_counter()
    _send(bench, url, bodies)
    bench.wait_while(flow, "running", "waiting")
    seconds = time.perf_counter() - began
    bench.account(flow, "completed", events)
    return seconds, Reading.now().since(before, events)


# The endpoint alone: nobody routes, and nobody waits.
def _accept(bench: Bench, events: int) -> list[float]:
    rates = []
    flow = bench.publish(graphs.waiting_for("go"))
    with bench.running("web") as supervisor:
        for number in range(bench.runs + 1):
            bodies = _bodies(flow, events, prefix=f"{number}-")
            began = time.perf_counter()
            _send(bench, supervisor.options.url, bodies)
            rates.append(events / (time.perf_counter() - began))
            if number:
                bench.note(f"  run {number}: {rates[-1]:,.0f} events accepted per second")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM inbound_events WHERE routed_at IS NULL")
        (stored,) = cursor.fetchone() or (0,)
        cursor.execute("TRUNCATE inbound_events")
    if stored != events * (bench.runs + 1):
        raise Unaccounted(f"{events * (bench.runs + 1)} events were accepted, {stored} are in the inbox.")
    return rates[1:]


def _bodies(flow: Flow, events: int, prefix: str = "") -> list[bytes]:
    each = [
        {"participant_id": f"{prefix}{name_of(flow, number)}", "event_type": "go", "data": {"amount": number}}
        for number in range(events)
    ]
    return [orjson.dumps({"events": each[first : first + PER_REQUEST]}) for first in range(0, events, PER_REQUEST)]


def _send(bench: Bench, url: str, bodies: list[bytes]) -> None:
    def send(share: list[bytes]) -> None:
        client = Client(url, bench.api_key)
        for body in share:
            client.post("/events/batch", body)
        client.close()

    with ThreadPoolExecutor(CLIENTS) as threads:
        for done in [threads.submit(send, bodies[number::CLIENTS]) for number in range(CLIENTS)]:
            done.result()
