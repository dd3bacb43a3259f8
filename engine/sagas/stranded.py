"""Sagas that nothing will ever move again; none is the promise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine.connections import execute

# Unfinished, and on workers neither looked at soon nor with a call under way, or in a process and held by none.
STRANDED = """
    SELECT s.id, s.tenant_id, s.name, s.status, s.created_at FROM saga_runs s
     WHERE s.status IN ('PENDING', 'RUNNING', 'COMPENSATING') AND NOT s.runnable
       AND CASE WHEN s.runs_in = 'process' THEN s.lease_until IS NULL
                ELSE NOT EXISTS (SELECT FROM activities a
                                  WHERE a.saga_id = s.id AND a.status IN ('pending', 'running') AND NOT a.held) END
     ORDER BY s.id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class StrandedSaga:
    """An unfinished saga that nothing will move."""

    id: str
    tenant_id: str
    name: str
    status: str
    created_at: datetime


def find(limit: int = 100) -> list[StrandedSaga]:
    """Find them with one statement."""
    return [StrandedSaga(*row) for row in execute(STRANDED, [limit]).fetchall()]
