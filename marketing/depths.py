"""How far runs are from an event that nobody but the world caused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engine.connections import execute

OF_RUNS: Final = """
    SELECT i.id, e.causation_depth
      FROM flow_instances i
      JOIN inbound_events e ON e.tenant_id = i.tenant_id AND e.event_id = i.context ->> 'entry_event'
     WHERE i.id = ANY(%s::uuid[])
"""


def of_runs(instance_ids: Iterable[str | None]) -> dict[str, int]:
    """Give the depth of each run that an event began; the others are at none."""
    runs = sorted({each for each in instance_ids if each})
    return dict(execute(OF_RUNS, [runs]).fetchall()) if runs else {}
