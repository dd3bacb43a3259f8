"""Customers per second from an uploaded table to rows: new ones, and the same ones again."""

import io
import time
from typing import Any

from benchmarks import figures, interruption
from benchmarks.bench import Bench
from benchmarks.failures import Unaccounted
from benchmarks.system import Reading
from engine.models import Job
from marketing.customers import imports, uploads
from marketing.models import Customer

HEADER = "external_id,email,phone,name,timezone,locale,tags,plan,country,score\n"


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    rows = bench.size(100_000, 2_000)
    fresh, again, uploaded, costs = [], [], [], []
    for number in range(1, bench.runs + 1):
        table = _table(rows, f"import-{number}")
        there, before = Customer.objects.for_tenant(bench.tenant).count(), Reading.now()
        seconds, kept = _import(bench, table, rows)
        fresh.append(rows / seconds)
        uploaded.append(rows / kept)
        costs.append(Reading.now().since(before, rows))
        if (found := Customer.objects.for_tenant(bench.tenant).count() - there) != rows:
            raise Unaccounted(f"{rows} customers were imported, and {found} are there.")
        again.append(rows / _import(bench, table, rows)[0])
        bench.note(f"  run {number}: {fresh[-1]:,.0f} new customers per second, {again[-1]:,.0f} again")
    return {
        "rows_per_s": figures.of_runs(fresh),
        "again_per_s": figures.of_runs(again),
        "uploaded_per_s": figures.of_runs(uploaded),
        "rows": rows,
        "per_row": figures.merge(costs),
    }


def _import(bench: Bench, table: bytes, rows: int) -> tuple[float, float]:
    began = time.perf_counter()
    job = uploads.accept(bench.tenant, io.BytesIO(table), form=uploads.CSV)
    kept = time.perf_counter()
    while imports.import_some():
        interruption.check()
    ended = time.perf_counter()
    job = Job.objects.get(pk=job.pk)
    if (job.status, job.succeeded, job.refused) != ("completed", rows, 0):
        raise Unaccounted(f"The import is {job.status}: {job.succeeded} of {rows}, {job.errors[:3]}.")
    return ended - kept, kept - began


def _table(rows: int, name: str) -> bytes:
    lines = (
        f"{name}-{n},user{n}@example{n % 100}.com,+4915{n:09d},Name {n % 5000},Europe/Berlin,de-DE,"
        f"{'vip;beta' if n % 3 == 0 else ''},pro,DE,{n % 100}\n"
        for n in range(rows)
    )
    return (HEADER + "".join(lines)).encode()
