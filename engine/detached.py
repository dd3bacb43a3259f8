"""Side effects that no token waits for: written with what they follow from, done by activity workers like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from engine import bells
from engine.bells import Bell
from engine.connections import execute
from engine.graph_settings import USUAL_PRIORITY
from tenants.ids import uuid7

JSON = dict[str, Any]

# As urgent as the flow that they are of is now.
WRITE: Final = """
    INSERT INTO activities (id, tenant_id, flow_id, instance_id, saga_id, node_id, lane, kind, target, input,
                            idempotency_key, policy, status, attempts, due_at, worker, held, deaths, created_at, rank)
    SELECT n.id, %(tenant)s, n.flow_id, NULL, NULL, '', '', %(kind)s::text, '', n.input, %(kind)s::text || ':' || n.id,
           %(policy)s::jsonb, 'pending', 0, clock_timestamp() + make_interval(secs => n.pause_s), '', false, 0,
           clock_timestamp(),
           coalesce((SELECT %(usual)s - (v.graph #>> '{settings,priority}')::numeric
                       FROM flows f JOIN flow_versions v ON v.id = f.active_version_id
                      WHERE f.id = n.flow_id AND jsonb_typeof(v.graph #> '{settings,priority}') = 'number'), 0)
      FROM jsonb_to_recordset(%(records)s::jsonb) AS n(id uuid, flow_id uuid, input jsonb, pause_s float8)
"""


@dataclass(frozen=True, slots=True)
class Errand:
    """One side effect; while its flow is paused nobody begins it. `pause_s` (wall time) puts it off."""

    flow_id: str | None
    input: JSON
    pause_s: float = 0.0


def write_many(tenant_id: Any, kind: str, errands: Sequence[Errand], policy: JSON) -> None:
    """Have side effects of one kind done, in the caller's transaction; no statement where there are none."""
    if not errands:
        return
    records = [
        {"id": uuid7(), "flow_id": each.flow_id, "input": each.input, "pause_s": each.pause_s} for each in errands
    ]
    facts = {"records": orjson.dumps(records).decode(), "policy": orjson.dumps(policy).decode()}
    execute(WRITE, facts | {"tenant": str(tenant_id), "kind": kind, "usual": USUAL_PRIORITY})
    bells.ring_on_commit(Bell.ACTIVITIES)
