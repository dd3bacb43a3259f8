"""Who does an activity of which kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from engine import clock, ports
from engine.connections import execute
from engine.execution import program
from engine.leases import Lease
from engine.nodes import registry
from engine.nodes.base import Need
from engine.nodes.context import StepContext
from engine.nodes.errors import UnknownNodeType
from engine.nodes.outcomes import Failed, Outcome

JSON = dict[str, Any]
Call = Callable[[], Outcome]
NodeHandler = Callable[[Lease, StepContext, program.Program], Outcome]

# The kind of what a node itself does.
NODE = "node"

READ_INSTANCES = """
    SELECT id, participant_id, flow_id, version_id, context, entered_at FROM flow_instances WHERE id = ANY(%s)
"""

# Kinds that know nothing of a run; each is called with the lease, on a thread, outside of any transaction.
_handlers: dict[str, Callable[[Lease], Outcome]] = {}
# Kinds that concern a node of a run, likewise; they are handed what the node may know, and the run's program.
_node_handlers: dict[str, NodeHandler] = {}
# Kinds whose handlers leave a connection to the database as they found it: it serves the next of them, with what has
# been prepared on it.
tidy: set[str] = set()


def register(kind: str, handler: Callable[[Lease], Outcome], *, is_tidy: bool = False) -> None:
    """Have activities of this kind done by `handler`; see `tidy`."""
    _handlers[kind] = handler
    if is_tidy:
        tidy.add(kind)


def register_for_nodes(kind: str, handler: NodeHandler) -> None:
    """Have activities of this kind, each of which concerns a node of a run, done by `handler`."""
    _node_handlers[kind] = handler


def calls(leases: Sequence[Lease]) -> list[Call]:
    """Give what is to be called for each, with what it needs to know read at once."""
    ids = [lease.instance_id for lease in leases if lease.kind in _node_handlers and lease.instance_id]
    found = {row[0]: row for row in execute(READ_INSTANCES, [ids]).fetchall()} if ids else {}
    profiles = _profiles(leases, found)
    return [_call(lease, found.get(lease.instance_id or ""), profiles.get(lease.instance_id or "")) for lease in leases]


# The profiles of those whose programs read them, by instance: a query per tenant, none where nobody does.
def _profiles(leases: Sequence[Lease], found: Mapping[str, Sequence[Any]]) -> dict[str, JSON]:
    wanted: dict[str, dict[str, str]] = {}
    for lease in leases:
        instance = found.get(lease.instance_id or "")
        if instance is not None and lease.kind == NODE and Need.PROFILE in program.of_version(instance[3]).needs:
            wanted.setdefault(lease.tenant_id, {})[instance[0]] = instance[1]
    profiles: dict[str, JSON] = {}
    for tenant_id, people in wanted.items():
        known = ports.bound().profiles.fetch_many(tenant_id, sorted(set(people.values())))
        profiles |= {key: known[who] for key, who in people.items() if who in known}
    return profiles


def _call(lease: Lease, instance: Sequence[Any] | None, profile: JSON | None) -> Call:
    if (for_node := _node_handlers.get(lease.kind)) is not None:
        if instance is None:
            return lambda: Failed("Its instance is gone.", retryable=False)
        return lambda: _call_for_node(for_node, lease, instance, profile)
    handler = _handlers.get(lease.kind)
    if handler is None:
        return lambda: Failed(f"Nobody does activities of the kind {lease.kind}.", code="unknown_kind", retryable=False)
    return lambda: handler(lease)


def _call_for_node(handler: NodeHandler, lease: Lease, instance: Sequence[Any], profile: JSON | None) -> Outcome:
    _, participant_id, flow_id, version_id, context, entered_at = instance
    compiled = program.of_version(version_id)
    step = _step(lease, compiled, participant_id, flow_id, orjson.loads(context), entered_at)
    step.participant = profile
    return handler(lease, step, compiled)


def _run_node(lease: Lease, step: StepContext, compiled: program.Program) -> Outcome:
    try:
        node = registry.get(lease.target)
    except UnknownNodeType as problem:
        return Failed(str(problem), code="unknown_type", retryable=False)
    return node.execute(compiled.nodes[lease.node_id].config, step)


register_for_nodes(NODE, _run_node)


def _step(
    lease: Lease, compiled: program.Program, participant_id: str, flow_id: str, context: JSON, entered_at: datetime
) -> StepContext:
    return StepContext(
        now=clock.now(),
        tenant_id=lease.tenant_id,
        instance_id=lease.instance_id or "",
        node_id=lease.node_id,
        participant_id=participant_id,
        entry=context["entry"],
        accumulated=context["accumulated"],
        outcomes=context["outcomes"],
        run={
            "id": lease.instance_id,
            "participant_id": participant_id,
            "flow": flow_id,
            "version": compiled.version,
            "entered_at": entered_at,
        },
        default_timezone=program.zone_of(compiled, lease.tenant_id),
        entered_at=entered_at,
        input=lease.input,
        idempotency_key=lease.idempotency_key,
        attempt=lease.attempt,
        ports=ports.bound(),
        aliases=compiled.aliases,
    )
