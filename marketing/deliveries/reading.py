"""Messages in the hands of a worker, with what their sending depends on: their runs, their people's profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from engine.connections import execute
from engine.execution import program
from engine.execution.program import Program
from engine.nodes.action_config import Retry
from marketing.customers.store import Profiles

JSON = dict[str, Any]

# What an attempt that is under way has claimed is in good hands, whoever else asks for it.
READ: Final = """
    SELECT d.id, d.key, d.flow_id, d.instance_id, d.node_id, d.participant_id, d.channel, d.status, d.claim, d.attempts,
           d.message_class, d.topic, d.template_id, d.payload, d.expires_at, d.created_at, d.awaited, d.resend_of,
           d.asks_again, c.state, i.status, i.exit_reason, i.version_id, i.context -> 'entry', i.entered_at
      FROM deliveries d
      LEFT JOIN LATERAL (SELECT * FROM flow_instances WHERE id = d.instance_id OFFSET 0) AS i ON true
      LEFT JOIN LATERAL (
        SELECT state FROM customers WHERE tenant_id = d.tenant_id AND external_id = d.participant_id OFFSET 0
      ) AS c ON true
     WHERE d.tenant_id = %s AND d.id = ANY(%s::uuid[]) AND d.status IN ('queued', 'claimed')
       AND (d.claim = '' OR NOT EXISTS (
            SELECT FROM activities a
             WHERE a.id = nullif(split_part(d.claim, ':', 1), '')::uuid AND a.status = 'running'
               AND d.claim = a.id || ':' || a.attempts))
     ORDER BY d.id
"""
TOKENS: Final = """
    SELECT c.external_id, p.token FROM customers c JOIN push_tokens p ON p.customer_id = c.id
     WHERE c.tenant_id = %s AND c.external_id = ANY(%s) ORDER BY p.created_at DESC, p.id
"""
PUSH: Final = "push"
# The columns of JSON.
_PAYLOAD, _ENTRY = 13, 23


@dataclass(slots=True)
class Held:
    """A message that has not been handed over, or whose holder may have died; `profile` is that of its person."""

    id: str
    key: str
    flow_id: str | None
    instance_id: str | None
    node_id: str
    participant_id: str
    channel: str
    status: str
    claim: str
    attempts: int
    message_class: str
    topic: str
    template_id: str
    payload: JSON
    expires_at: datetime | None
    created_at: datetime
    awaited: bool
    resend_of: str | None
    asks_again: bool
    state: str | None
    run_status: str | None
    exit_reason: str | None
    version_id: str | None
    entry: JSON
    entered_at: datetime | None
    profile: JSON | None = None
    tokens: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    @property
    def account_name(self) -> str | None:
        """The channel that its node chose, where it is not the default one."""
        name = (self.payload.get("options") or {}).get("provider")
        return name if isinstance(name, str) else None

    @property
    def program(self) -> Program | None:
        """The program of its run's version."""
        return None if self.version_id is None else program.of_version(self.version_id)

    @property
    def retry(self) -> Retry:
        """How patiently it is tried."""
        return Retry.model_validate_json(orjson.dumps(self.payload.get("retry") or {}))

    @property
    def provider_key(self) -> str:
        """What providers know it by: the same at every attempt, and when an operator retries its step."""
        step, _, attempt = self.key.rpartition(":")
        is_steps = step == f"{self.instance_id}:{self.node_id}" and attempt.isdecimal()
        return f"{step}:1" if is_steps else self.key


def read(tenant_id: str, delivery_ids: Sequence[str]) -> list[Held]:
    """Give those that are still to be sent, in the order of their ids; a few queries for any number of them."""
    found = [_held(row) for row in execute(READ, [tenant_id, list(delivery_ids)]).fetchall()]
    profiles = Profiles().fetch_many(tenant_id, sorted({each.participant_id for each in found})) if found else {}
    for each in found:
        each.profile = profiles.get(each.participant_id)
    if pushed := [each for each in found if each.channel == PUSH and each.profile is not None]:
        _add_tokens(tenant_id, pushed)
    return found


def _held(row: Sequence[Any]) -> Held:
    values = list(row)
    values[_PAYLOAD], values[_ENTRY] = orjson.loads(row[_PAYLOAD]), orjson.loads(row[_ENTRY] or "{}")
    return Held(*values)


def _add_tokens(tenant_id: str, held: Sequence[Held]) -> None:
    people = {each.id: str((each.profile or {})["external_id"]) for each in held}
    tokens: dict[str, list[str]] = {}
    for external_id, token in execute(TOKENS, [tenant_id, sorted(set(people.values()))]).fetchall():
        tokens.setdefault(external_id, []).append(token)
    for each in held:
        each.tokens = tokens.get(people[each.id], [])
