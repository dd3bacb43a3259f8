"""Tokens: where in its graph an instance stands, as dictionaries of its row's `current_nodes`."""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]

RUNNING, WAITING, HELD, BROKEN = "running", "waiting", "held", "failed"


def arrive(node: str, node_type: str, since: str, *, after: str | None = None, attempt: int = 1) -> JSON:
    """Make a token that has just arrived at a node; `after` is when the node before it began."""
    return {
        "node_id": node,
        "node_type": node_type,
        "status": RUNNING,
        "since": since,
        "after": after,
        "step": None,
        "attempt": attempt,
        "waiting_for": None,
        "activity": None,
        "wake": None,
    }
