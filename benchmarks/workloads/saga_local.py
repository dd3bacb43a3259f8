"""Sagas per second of three concurrent steps that do nothing, executed in one process with a hundred at once."""

import asyncio
import time
from itertools import count
from typing import Any

from django.db import connection

from benchmarks import figures
from benchmarks.bench import Bench
from benchmarks.failures import Unaccounted
from benchmarks.system import Reading
from engine.sagas.builder import Saga, SagaStep
from engine.sagas.workflow_engine import WorkflowEngine

JSON = dict[str, Any]

AT_ONCE = 100
WARM_UP = 200

BY_STATUS = "SELECT status, count(*) FROM saga_runs WHERE name LIKE %s GROUP BY status"

_batches = count()


def run(bench: Bench) -> JSON:
    """Measure; no other process of the product takes part."""
    sagas = bench.size(5_000, 500)
    engine = WorkflowEngine(bench.tenant)
    rates, costs = [], []
    _once(engine, WARM_UP)
    for number in range(1, bench.runs + 1):
        before = Reading.now()
        seconds = _once(engine, sagas)
        costs.append(Reading.now().since(before, sagas))
        rates.append(sagas / seconds)
        bench.note(f"  run {number}: {rates[-1]:,.0f} sagas per second ({sagas:,} in {seconds:.2f} s)")
    return {"sagas_per_s": figures.of_runs(rates), "sagas": sagas, "per_saga": figures.merge(costs)}


def _once(engine: WorkflowEngine, sagas: int) -> float:
    batch = f"bench-local-{next(_batches)}-"
    for number in range(sagas):
        engine.register_saga(_saga(f"{batch}{number}"))
    began = time.perf_counter()
    asyncio.run(_execute(engine, [f"{batch}{number}" for number in range(sagas)]))
    seconds = time.perf_counter() - began
    with connection.cursor() as cursor:
        cursor.execute(BY_STATUS, [f"{batch}%"])
        found = dict(cursor.fetchall())
    if found != {"COMPLETED": sagas}:
        raise Unaccounted(f"{sagas} sagas should be completed; there are {found}.")
    return seconds


async def _execute(engine: WorkflowEngine, ids: list[str]) -> None:
    waiting = iter(ids)

    async def one_after_the_other() -> None:
        for saga_id in waiting:
            if await engine.execute_saga(saga_id) != ["reserved", "charged", "booked"]:
                raise Unaccounted(f"The results of {saga_id} are others.")

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_the_other())


def _saga(saga_id: str) -> Saga:
    saga = Saga(saga_id)
    for step in (SagaStep("reserve", _reserve), SagaStep("charge", _charge), SagaStep("book", _book)):
        saga.add_step(step)
    return saga


async def _reserve() -> str:
    return "reserved"


async def _charge() -> str:
    return "charged"


async def _book() -> str:
    return "booked"
