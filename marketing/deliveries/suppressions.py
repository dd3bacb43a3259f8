"""Addresses that nothing is sent to: learnt from providers, or set by hand; of the address and not of the person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson

from engine import clock
from engine.connections import execute
from marketing.channels.provider import Permanent, Verdict
from marketing.channels.recipients import normalised
from tenants.ids import uuid7

JSON = dict[str, Any]
Address = tuple[str, str]

REASONS: Final = ("hard_bounce", "soft_bounces", "complaint", "unsubscribed", "invalid_address", "manual")

FIND = """
    SELECT s.channel, s.address FROM unnest(%s::text[], %s::text[]) AS asked(channel, address)
      JOIN suppressions s ON s.tenant_id = %s AND s.channel = asked.channel AND s.address = asked.address
"""
# Sorted, so that two that learn of the same addresses wait for each other in one order; the first reason stays.
ADD = """
    INSERT INTO suppressions (id, tenant_id, channel, address, reason, detail, created_at)
    SELECT n.id, %(tenant)s, n.channel, n.address, n.reason, n.detail, %(now)s
      FROM jsonb_to_recordset(%(records)s::jsonb) AS n(id uuid, channel text, address text, reason text, detail jsonb)
     ORDER BY n.channel, n.address
    ON CONFLICT (tenant_id, channel, address) DO NOTHING
"""
# A device that is gone is no address of anybody's any more.
FORGET_DEVICES = """
    DELETE FROM push_tokens
     WHERE id IN (SELECT id FROM push_tokens WHERE tenant_id = %s AND token = ANY(%s) ORDER BY id FOR UPDATE)
"""


@dataclass(frozen=True, slots=True)
class New:
    """An address that is to get nothing more, and why."""

    channel: str
    address: str
    reason: str
    detail: JSON = field(default_factory=dict)


def suppressed(tenant_id: UUID | str, addresses: Iterable[Address]) -> set[Address]:
    """Tell which of these (channel, address) nothing may be sent to, spelt as they were asked; in one statement."""
    given = list(addresses)
    asked = {(channel, normalised(channel, address)): None for channel, address in given}
    if not asked:
        return set()
    channels, plain = [channel for channel, _ in asked], [address for _, address in asked]
    found = {(channel, address) for channel, address in execute(FIND, [channels, plain, tenant_id]).fetchall()}
    return {each for each in given if (each[0], normalised(*each)) in found}


def suppress_many(tenant_id: UUID | str, new: Sequence[New]) -> int:
    """Send nothing more to these, in the caller's transaction; known ones stay as they are. Give how many are new."""
    if not new:
        return 0
    records: dict[Address, JSON] = {}
    for each in new:
        place = (each.channel, normalised(each.channel, each.address))
        facts = {"channel": each.channel, "address": place[1], "reason": each.reason, "detail": each.detail}
        records.setdefault(place, {"id": uuid7(), **facts})
    told = orjson.dumps([record for record in records.values() if record["address"]]).decode()
    return execute(ADD, {"tenant": tenant_id, "now": clock.now(), "records": told}).rowcount


def learn_many(tenant_id: UUID | str, told: Iterable[tuple[str, str, Verdict]]) -> None:
    """
    Learn from the verdicts of (channel, address): what a provider calls dead gets nothing more.

    Only a provider's word counts, never our own retries. A dead device is taken from its customer too.
    """
    dead = [
        New(channel, address, "invalid_address", {"code": verdict.code, "detail": verdict.detail[:500]})
        for channel, address, verdict in told
        if isinstance(verdict, Permanent) and verdict.dead_address
    ]
    suppress_many(tenant_id, dead)
    devices = [each.address for each in dead if each.channel == "push"]
    if devices:
        execute(FORGET_DEVICES, [tenant_id, devices])
