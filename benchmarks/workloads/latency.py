"""One trigger over HTTP on an idle system, to the completion of three nodes."""

from typing import Any

import orjson

from benchmarks import graphs, moments
from benchmarks.bench import Bench, name_of
from benchmarks.http import Client
from benchmarks.system import Reading

WARM_UP = 30
METHOD = "from before the request until another connection, which looks every millisecond, reads completed"


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    samples = bench.size(200, 50)
    with bench.running() as supervisor:
        client = Client(supervisor.options.url, bench.api_key)
        _sample(bench, client, WARM_UP)
        before = Reading.now()
        runs = [_sample(bench, client, samples) for _ in range(bench.runs)]
        cost = Reading.now().since(before, samples * bench.runs)
        client.close()
    return {**moments.summary(runs), "samples": samples, "method": METHOD, "per_instance": cost}


def _sample(bench: Bench, client: Client, samples: int) -> list[float]:
    flow = bench.publish(graphs.chain("noop", 3))
    path = f"/flows/{flow.pk}/trigger"

    def trigger(number: int) -> str:
        body = orjson.dumps({"participant_id": name_of(flow, number)})
        return str(client.post(path, body)["instance_id"])

    taken = [moments.until_completed(lambda number=number: trigger(number)) for number in range(samples)]  # type: ignore[misc]  # bound now
    bench.account(flow, "completed", samples)
    return taken
