"""How an instance's row follows its events: what is set, and the guard without which it is not."""

from __future__ import annotations

from typing import Any

from engine.execution.burst import Burst
from flows.models import FlowInstance

# The fields of a record, as `n`.
FIELDS = """
    id uuid, was text, previous bigint, status text, current_nodes jsonb, context jsonb, step_count int,
    updated_at timestamptz, completed_at timestamptz, exited_at timestamptz, exit_reason text, error jsonb,
    sequence bigint, runnable boolean, log_tx bigint, deaths smallint, keeps_mark boolean
"""

# What an UPDATE of `i` sets, but for log_tx.
SETS = """
    status = n.status, current_nodes = n.current_nodes, context = coalesce(n.context, i.context),
    step_count = n.step_count, updated_at = n.updated_at, completed_at = n.completed_at, exited_at = n.exited_at,
    exit_reason = n.exit_reason, error = n.error, sequence = n.sequence, deaths = n.deaths,
    runnable = n.runnable OR (n.keeps_mark AND i.runnable AND n.status IN ('running', 'waiting'))
"""

# Only who is still where the batch found it, and only along the arrows.
GUARD = f"""
    i.id = n.id AND i.status = n.was AND i.sequence = n.previous
    AND (n.was, n.status) IN ({FlowInstance.TRANSITIONS.pairs_sql()})
"""


def record(burst: Burst) -> dict[str, Any]:
    """Give what the row of an instance becomes."""
    state = burst.state
    return {
        "id": state.id,
        "was": burst.was,
        "previous": burst.previous,
        "status": state.status,
        "current_nodes": list(state.tokens.values()),
        "context": state.context if burst.context_changed else None,
        "step_count": state.step_count,
        "updated_at": state.updated_at,
        "completed_at": state.completed_at,
        "exited_at": state.exited_at,
        "exit_reason": state.exit_reason,
        "error": state.error,
        "sequence": state.sequence,
        "runnable": burst.is_runnable or (burst.recheck and state.status in ("running", "waiting")),
        "log_tx": burst.log_tx,
        "deaths": burst.deaths,
        "keeps_mark": not burst.looked,
    }
