"""chain3 on empty tables, and on tables that already hold many completed instances."""

import time
from typing import Any

from django.db import connection, models

from benchmarks import figures, graphs, passage
from benchmarks.bench import Bench
from engine.models import StoredEvent
from flows.models import ExecutionStep, FlowInstance

CHUNK = 50_000
# Ids as the engine makes them: they grow with time, also for the rows that stand for earlier days.
NEW_ID = """(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' ||
            substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid"""


def run(bench: Bench) -> dict[str, Any]:
    """Measure both."""
    participants = bench.size(20_000, 2_000)
    graph = graphs.chain("noop", 3)
    with bench.running():
        empty, _ = passage.measure(bench, graph, participants)
    _fill(bench, bench.rows)
    with bench.running():
        full, cost = passage.measure(bench, graph, participants)
    rates = figures.of_runs(full)
    return {
        "rows": bench.rows,
        "instances_per_s": rates,
        "instances_per_s_empty": figures.of_runs(empty),
        "ratio_to_empty": round(rates["median"] / figures.of_runs(empty)["median"], 3),
        "per_instance": cost,
    }


# Copies one real passage, row by row and column by column, under new ids.
def _fill(bench: Bench, rows: int) -> None:
    flow = bench.publish(graphs.chain("noop", 3))
    with bench.running("advance"):
        (template,) = bench.start(flow, 1)
        bench.wait_while(flow, "running", "waiting")
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("CREATE TEMPORARY TABLE grown (n int, id uuid)")
        for first in range(0, rows, CHUNK):
            last = min(first + CHUNK, rows)
            cursor.execute(
                f"TRUNCATE grown; INSERT INTO grown SELECT n, {NEW_ID} FROM generate_series({first + 1}, {last}) n"
            )
            for model, overrides, link in _COPIES:
                cursor.execute(_copy_statement(model, overrides, link), [template])
            bench.note(f"  {last:,} of {rows:,} instances are there")
        cursor.execute("VACUUM ANALYZE flow_instances, stored_events, execution_steps")
    bench.note(f"  filled in {time.perf_counter() - began:.0f} s")


_COPIES: tuple[tuple[type[models.Model], dict[str, str], str], ...] = (
    (FlowInstance, {"id": "grown.id", "participant_id": "'grown-' || grown.n"}, "id"),
    (StoredEvent, {"position": "", "event_id": NEW_ID, "aggregate_id": "grown.id"}, "aggregate_id"),
    (ExecutionStep, {"id": NEW_ID, "instance_id": "grown.id"}, "instance_id"),
)


def _copy_statement(model: type[models.Model], overrides: dict[str, str], link: str) -> str:
    fields = model._meta.local_concrete_fields  # noqa: SLF001  # Django's documented way to a model's fields
    columns = [str(field.column) for field in fields if overrides.get(str(field.column), "as it is")]
    values = [overrides.get(column, f"t.{column}") for column in columns]
    return (
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) SELECT {', '.join(values)}"  # noqa: SLF001  # likewise
        f" FROM grown, {model._meta.db_table} t WHERE t.{link} = %s ORDER BY grown.n"  # noqa: SLF001  # likewise
    )
