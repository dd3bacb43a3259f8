"""Sagas that wait for a look: those that were just started, resumed or cancelled, and those whose time is up."""

from __future__ import annotations

import time

from django.db import transaction

from engine import bells, clock
from engine.bells import Bell
from engine.conf import engine_settings
from engine.connections import execute
from engine.models import SagaRun
from engine.sagas import progress, rows
from engine.sagas.rows import COLUMNS
from engine.sagas.write import open_move

WORKERS = SagaRun.RunsIn.WORKERS.value

# Takes runnable sagas, an equal share per tenant that has any; the recursive part hops from tenant to tenant.
TAKE = f"""
    WITH RECURSIVE busy AS (
        (SELECT tenant_id FROM saga_runs WHERE runnable ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT r.tenant_id FROM saga_runs r WHERE r.runnable AND r.tenant_id > busy.tenant_id
                 ORDER BY r.tenant_id LIMIT 1)
          FROM busy WHERE busy.tenant_id IS NOT NULL
    ), share AS MATERIALIZED (
        SELECT tenant_id, greatest(1, %(limit)s / count(*) OVER ())::int AS most
          FROM busy WHERE tenant_id IS NOT NULL ORDER BY random() LIMIT %(limit)s
    )
    SELECT {COLUMNS}
      FROM share CROSS JOIN LATERAL (
        SELECT r.* FROM saga_runs r
         WHERE r.tenant_id = share.tenant_id AND r.runnable
         ORDER BY r.id
         LIMIT share.most
           FOR NO KEY UPDATE SKIP LOCKED
      ) AS s
"""

# Marks those whose time is up. One that a process carries on is that process's, or whose takes it over.
MARK_OVERDUE = f"""
    WITH late AS MATERIALIZED (
        SELECT id FROM saga_runs
         WHERE deadline_at <= clock_timestamp() AND status IN ('PENDING', 'RUNNING') AND ending IS NULL
           AND NOT runnable AND runs_in = '{WORKERS}'
         ORDER BY deadline_at LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE saga_runs s SET runnable = true FROM late WHERE s.id = late.id
"""

IS_WAITING = f"""
    SELECT 1 WHERE EXISTS (SELECT 1 FROM saga_runs WHERE runnable)
        OR EXISTS (SELECT 1 FROM saga_runs WHERE deadline_at <= clock_timestamp() AND status IN ('PENDING', 'RUNNING')
                      AND ending IS NULL AND runs_in = '{WORKERS}')
"""


def run(*, slice_s: float | None = None, task_id: str = "", by: str = "saga") -> int:
    """
    Look at whatever is runnable until nothing is, or the slice is over; give the number of sagas looked at.

    Harmless when doubled: what another worker holds is skipped. A full batch rings for a colleague before it is worked.
    """
    settings = engine_settings()
    until = time.monotonic() + (settings.slice_s if slice_s is None else slice_s)
    metadata = {"actor": by, "task_id": task_id}
    execute(MARK_OVERDUE)
    looked_at = 0
    while time.monotonic() < until:
        taken = _run_batch(settings.batch_size, metadata)
        if not taken:
            return looked_at
        looked_at += taken
    bells.ring(Bell.SAGAS)
    return looked_at


def is_waiting() -> bool:
    """Whether any saga wants a look: one look at each of two indexes."""
    return execute(IS_WAITING).fetchone() is not None


def _run_batch(limit: int, metadata: dict[str, str]) -> int:
    with transaction.atomic(durable=True):
        taken = rows.fetch(TAKE, {"limit": limit})
        if len(taken) == limit:
            bells.ring(Bell.SAGAS)
        now, held = clock.now(), {row.id: row for row in taken}
        progress.written(progress.carry_on([open_move(row, now) for row in taken], held), held, metadata)
    return len(taken)
