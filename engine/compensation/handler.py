"""Undoes what one node did: on a thread of an activity worker, outside of any transaction."""

from __future__ import annotations

from typing import Any

import orjson
from django.db import transaction

from engine import ports
from engine.connections import execute
from engine.execution import effects
from engine.execution.program import Program
from engine.leases import Lease
from engine.nodes import registry
from engine.nodes.base import Need, Node
from engine.nodes.context import StepContext
from engine.nodes.errors import InvalidConfig, UnknownNodeType
from engine.nodes.outcomes import Completed, Failed, Outcome

JSON = dict[str, Any]

# What a node answered that the run never took up: it failed before.
LAST_RESULT = """
    SELECT result -> 'result' FROM activities
     WHERE instance_id = %s AND node_id = %s AND kind = 'node' AND status = 'completed' ORDER BY id DESC LIMIT 1
"""
# The input is worked out once; every attempt gets the same.
REMEMBER = """
    UPDATE activities SET input = input || jsonb_build_object('prepared', %(prepared)s::jsonb)
     WHERE id = %(id)s AND status = 'running' AND attempts = %(attempt)s
"""


def undo(lease: Lease, step: StepContext, compiled: Program) -> Outcome:
    """Call the node's compensation, or its type's `compensate`."""
    try:
        node = registry.get(lease.target)
        config = registry.parse_config(lease.target, lease.input["config"])
    except UnknownNodeType as problem:
        return Failed(str(problem), code="unknown_type", retryable=False)
    except InvalidConfig as problem:
        return Failed(str(problem), code="invalid_config", retryable=False)
    step.result = _result(lease, step)
    if Need.PROFILE in node.needs_of(config):
        profiles = ports.bound().profiles.fetch_many(lease.tenant_id, [step.participant_id])
        step.participant = profiles.get(step.participant_id)
    if lease.input["by"] == "type":
        return node.compensate(config, step, step.result or {})
    step.input = _prepared(lease, node, config, step)
    outcome = node.execute(config, step)
    if isinstance(outcome, Completed) and outcome.effects:
        with transaction.atomic():
            effects.write_of(lease.tenant_id, outcome.effects)
    return outcome


def _result(lease: Lease, step: StepContext) -> JSON | None:
    if lease.node_id in step.accumulated:
        known: JSON | None = step.accumulated[lease.node_id]
        return known
    row = execute(LAST_RESULT, [lease.instance_id, lease.node_id]).fetchone()
    stored: JSON | None = orjson.loads(row[0]) if row and row[0] else None
    return stored


def _prepared(lease: Lease, node: Node, config: Any, step: StepContext) -> JSON:
    if "prepared" in lease.input:
        stored: JSON = lease.input["prepared"]
        return stored
    step.input = {}
    prepared = node.prepare(config, step)
    if not prepared:
        return prepared
    parameters = {"id": lease.id, "attempt": lease.attempt, "prepared": orjson.dumps(prepared).decode()}
    execute(REMEMBER, parameters)
    return prepared
