"""What an event starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine import ports, triggers
from engine.connections import execute
from engine.entering import Entry, Whence
from engine.errors import AlreadyInFlow, EngineError
from engine.execution import batch, program, rows, write
from engine.execution.burst import Burst
from engine.execution.executor import Executor
from engine.execution.program import Program
from engine.expressions import Scope
from engine.moments import iso
from engine.nodes.base import Need
from engine.nodes.outcomes import Waiting
from flows.models import Flow

if TYPE_CHECKING:
    from engine.event_router import Arrival

JSON = dict[str, Any]

SEGMENT_EVENTS = {"segment.entered": "entered", "segment.left": "left"}
# An event that the engine itself caused, so many causes deep, starts nothing: flows that feed each other would never
# end.
MAX_DEPTH = 10

# The trigger nodes of active flows that listen for these keys.
TRIGGERS = """
    SELECT t.tenant_id, t.kind, t.key, t.flow_id, t.version_id, t.node_id, f.status
      FROM flow_triggers t JOIN flows f ON f.id = t.flow_id
      JOIN (SELECT DISTINCT * FROM unnest(%(tenants)s::uuid[], %(kinds)s::text[],
      %(keys)s::text[])) AS n(tenant_id, kind, key)
        ON t.tenant_id = n.tenant_id AND t.kind = n.kind AND t.key = n.key
     WHERE f.status IN ('active', 'paused')
     ORDER BY t.flow_id, t.node_id
"""


@dataclass(frozen=True, slots=True)
class Match:
    """An event, and an entry node that it fires."""

    arrival: Arrival
    flow_id: str
    node_id: str


def find(wave: Sequence[Arrival], now: datetime) -> list[Match]:
    """Find the entries that the events of a wave fire; what is refused is noted on the event with its reason."""
    return [Match(*found) for found in _matches(wave, now)]


def enter(matches: Sequence[Match], now: datetime, metadata: dict[str, str]) -> None:
    """Start the flows whose entry matches an event; what is refused is noted on the event with its reason."""
    groups: dict[tuple[str, str], list[Arrival]] = {}
    for each in matches:
        groups.setdefault((each.flow_id, each.node_id), []).append(each.arrival)
    flows = Flow.objects.in_bulk({flow_id for flow_id, _ in groups})
    by_id = {str(key): flow for key, flow in flows.items()}
    for (flow_id, node_id), arrivals in sorted(groups.items()):
        _start(by_id[flow_id], node_id, arrivals, now, metadata)


def _start(flow: Flow, node_id: str, arrivals: Sequence[Arrival], now: datetime, metadata: dict[str, str]) -> None:
    wanted = [
        Entry(each.participant_id, each.data, entry_event=each.event_id, cause=each.as_cause()) for each in arrivals
    ]
    whence = Whence(metadata["actor"], task_id=metadata["task_id"])
    try:
        verdicts = triggers.start_by_id((flow.tenant_id, flow.pk), wanted, entry_node=node_id, whence=whence)
    except EngineError as refusal:
        # The flow changed between the look and the start.
        for arrival in arrivals:
            arrival.effects.append(_refused(flow, refusal.code, node_id))
        return
    for arrival, verdict in zip(arrivals, verdicts, strict=True):
        if verdict.refusal is None:
            arrival.effects.append(
                {"kind": "started", "flow_id": str(flow.pk), "instance_id": verdict.instance_id, "node_id": node_id}
            )
        elif not (
            isinstance(verdict.refusal, AlreadyInFlow)
            and verdict.instance_id
            and _restart(verdict.instance_id, arrival, now, metadata)
        ):
            effect = _refused(flow, verdict.refusal.code, node_id)
            arrival.effects.append(effect | ({"instance_id": verdict.instance_id} if verdict.instance_id else {}))


def renew(burst: Burst, arrival: Arrival) -> str | None:
    """
    Time the wait of a run anew for an entry that found it under way, where its settings say so, with the new entry.

    Gives the node that waits; None where the entry is ignored, and the burst is then to be thrown away.
    """
    choice = burst.program.settings.on_duplicate_entry
    waiting = [key for key, each in burst.state.tokens.items() if each["waiting_for"]]
    if choice is None or not waiting:
        return None
    at = choice.if_at_node if choice.if_at_node in waiting else waiting[0]
    does = choice.do if choice.if_at_node in (None, at) else choice.otherwise
    if does != "restart_wait":
        return None
    burst.state.entry = arrival.data
    wait = Executor(burst).look(burst.program.nodes[at])
    if not isinstance(wait, Waiting):
        return None
    until = iso(wait.until) if wait.until else None
    burst.record("entry_replaced", {"node": at, "context": arrival.data, "until": until, "event_id": arrival.event_id})
    burst.context_changed = True
    burst.disarm(at)
    burst.arm(at, until=wait.until, event_types=list(wait.event_types), filter_=wait.filter)
    return at


def _restart(instance_id: str, arrival: Arrival, now: datetime, metadata: dict[str, str]) -> bool:
    row = rows.lock([instance_id]).get(instance_id)
    if row is None or row.status not in ("running", "waiting"):
        return False
    burst = batch.open_burst(row, now)
    burst.cause = arrival.as_cause()
    node_id = renew(burst, arrival)
    if node_id is None:
        return False
    write.batch([burst], metadata=metadata)
    arrival.effects.append(
        {"kind": "wait_restarted", "flow_id": burst.state.flow_id, "instance_id": instance_id, "node_id": node_id}
    )
    return True


def _matches(wave: Sequence[Arrival], now: datetime) -> Iterator[tuple[Arrival, str, str]]:
    keyed: dict[tuple[str, str, str], list[Arrival]] = {}
    for arrival in wave:
        if arrival.flow_id is not None:
            yield arrival, arrival.flow_id, arrival.entry_node
        for kind, key in _keys(arrival):
            keyed.setdefault((arrival.tenant_id, kind, key), []).append(arrival)
    if not keyed:
        return
    tenants, kinds, names = (list(part) for part in zip(*keyed, strict=True))
    found = execute(TRIGGERS, {"tenants": tenants, "kinds": kinds, "keys": names}).fetchall()
    profiles = _profiles(found, keyed)
    for tenant_id, kind, key, flow_id, version_id, node_id, status in found:
        compiled = program.of_version(version_id)
        for arrival in keyed[tenant_id, kind, key]:
            profile = profiles.get((tenant_id, arrival.participant_id))
            deep = arrival.causation_depth > MAX_DEPTH
            code = "loop" if deep else refusal_of(compiled, node_id, arrival, now, profile)
            code = "flow_not_active" if code is None and status != "active" else code
            if code is None:
                yield arrival, flow_id, node_id
            elif code:
                arrival.effects.append({"kind": "refused", "code": code, "flow_id": flow_id, "node_id": node_id})


# The profiles of those whom an entry asks about by a filter that reads them: a query per tenant, or none.
def _profiles(
    found: Sequence[Sequence[Any]], keyed: dict[tuple[str, str, str], list[Arrival]]
) -> dict[tuple[str, str], JSON]:
    wanted: dict[str, set[str]] = {}
    for tenant_id, kind, key, _, version_id, node_id, _ in found:
        compiled = program.of_version(version_id)
        node = compiled.nodes.get(node_id) if Need.PROFILE in compiled.needs else None
        if node is not None and node.node is not None and Need.PROFILE in node.node.needs_of(node.config):
            wanted.setdefault(tenant_id, set()).update(each.participant_id for each in keyed[tenant_id, kind, key])
    return {
        (tenant_id, who): profile
        for tenant_id, people in wanted.items()
        for who, profile in ports.bound().profiles.fetch_many(tenant_id, sorted(people)).items()
    }


def _keys(arrival: Arrival) -> Iterator[tuple[str, str]]:
    yield "event", arrival.event_type
    if arrival.event_type in SEGMENT_EVENTS:
        # A segment goes by its slug or by its id.
        for name in ("segment_id", "segment_key"):
            if isinstance(arrival.data.get(name), str):
                yield "segment", arrival.data[name]


def refusal_of(
    compiled: Program, node_id: str, arrival: Arrival, now: datetime, profile: JSON | None = None
) -> str | None:
    """Say why a trigger node does not start its flow: a reason code, '' for another event; None where it does."""
    node = compiled.nodes.get(node_id)
    if node is None or node.node is None:
        return "error"
    if node.type == "segment_entry":
        return None if SEGMENT_EVENTS.get(arrival.event_type) == node.config.on else ""
    scope = Scope(entry=arrival.data, event=arrival.data, participant=profile, now=now)
    refusal: str | None = node.node.refusal(node.config, scope, occurred_at=arrival.occurred_at, now=now)  # type: ignore[attr-defined]  # an event_entry
    return refusal


def _refused(flow: Flow, code: str, node_id: str) -> JSON:
    return {"kind": "refused", "code": code, "flow_id": str(flow.pk), "node_id": node_id}
