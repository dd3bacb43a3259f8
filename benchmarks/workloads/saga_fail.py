"""Sagas per second of three steps, one after the other, where the third fails and two compensations follow."""

import time
from itertools import count
from typing import Any

from django.db import connection

from benchmarks import figures
from benchmarks.bench import CHUNK, Bench, wait_until
from benchmarks.failures import Unaccounted
from benchmarks.system import Reading
from engine.sagas.builder import Saga, SagaStep
from engine.sagas.starting import Wish, start_sagas_sync

JSON = dict[str, Any]

WARM_UP = 200

IS_UNDER_WAY = """
    SELECT 1 FROM saga_runs WHERE tenant_id = %s AND status IN ('PENDING', 'RUNNING', 'COMPENSATING') LIMIT 1
"""
BY_STATUS = "SELECT status, count(*) FROM saga_runs WHERE name LIKE %s GROUP BY status"
UNDONE = """
    SELECT count(*) FROM stored_events e JOIN saga_runs s ON s.id = e.aggregate_id
     WHERE s.name LIKE %s AND e.type = 'step_compensated'
"""

_batches = count()


def do() -> None:
    """Do nothing."""


def undo() -> None:
    """Undo it."""


def fail() -> None:
    """Fail for good."""
    raise ValueError("as it should")


STEPS = [
    SagaStep("reserve", do, undo),
    SagaStep("charge", do, undo, after=["reserve"]),
    SagaStep("ship", fail, undo, after=["charge"]),
]


def run(bench: Bench) -> JSON:
    """Measure."""
    sagas = bench.size(5_000, 500)
    rates, costs = [], []
    with bench.running():
        _once(bench, WARM_UP)
        for number in range(1, bench.runs + 1):
            before = Reading.now()
            seconds = _once(bench, sagas)
            costs.append(Reading.now().since(before, sagas))
            rates.append(sagas / seconds)
            bench.note(f"  run {number}: {rates[-1]:,.0f} sagas per second ({sagas:,} in {seconds:.2f} s)")
    return {"sagas_per_s": figures.of_runs(rates), "sagas": sagas, "per_saga": figures.merge(costs)}


def _once(bench: Bench, sagas: int) -> float:
    batch = f"bench-{next(_batches)}-"
    began = time.perf_counter()
    definition = Saga("definition", steps=list(STEPS))
    for first in range(0, sagas, CHUNK):
        wishes = [Wish(f"{batch}{number}") for number in range(first, min(first + CHUNK, sagas))]
        start_sagas_sync(definition, wishes, tenant=bench.tenant)
    wait_until(lambda: not _rows(IS_UNDER_WAY, bench.tenant.pk), what="every saga to be over")
    seconds = time.perf_counter() - began
    found, undone = dict(_rows(BY_STATUS, f"{batch}%")), _rows(UNDONE, f"{batch}%")[0][0]
    if found != {"COMPENSATED": sagas} or undone != 2 * sagas:
        raise Unaccounted(f"{sagas} sagas should be undone, by two compensations each; there are {found}, {undone}.")
    return seconds


def _rows(statement: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, list(parameters))
        return list(cursor.fetchall())
