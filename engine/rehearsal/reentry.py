"""What an event does in a rehearsal that would begin the flow again."""

from __future__ import annotations

from typing import Any

from engine import entries
from engine.event_router import Arrival
from engine.execution.burst import Burst
from engine.expressions import MISSING, Scope, compile_path

JSON = dict[str, Any]


def enter_again(burst: Burst, arrival: Arrival) -> None:
    """Time the wait anew, or note on the event what else it would do: the run of the rehearsal is the only one."""
    for node_id in burst.program.entries:
        compiled = burst.program.nodes[node_id]
        if compiled.type != "event_entry" or compiled.config.event_type != arrival.event_type:
            continue
        refusal = entries.refusal_of(burst.program, node_id, arrival, burst.now, burst.known.participant)
        effect = {"kind": "refused", "code": refusal} if refusal is not None else _effect(burst, arrival)
        arrival.effects.append({"node_id": node_id, **effect})


def _effect(burst: Burst, arrival: Arrival) -> JSON:
    settings = burst.program.settings
    if settings.reentry in ("once", "after_interval"):
        return {"kind": "refused", "code": "reentry_policy"}
    if settings.reentry == "always" or burst.ended or _key(burst, arrival.data) != _key(burst, burst.state.entry):
        return {"kind": "starts_another_run"}
    restarted = entries.renew(burst, arrival)
    if restarted is None:
        return {"kind": "refused", "code": "already_in_flow"}
    return {"kind": "wait_restarted", "node_id": restarted}


def _key(burst: Burst, entry: JSON) -> Any:
    settings = burst.program.settings
    if settings.reentry != "per_key" or settings.correlation_key is None:
        return None
    found = compile_path(settings.correlation_key).read(Scope(entry=entry))
    return None if found is MISSING else found
