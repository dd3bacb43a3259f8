"""Telling the engine what became of messages, as events that runs wait for and flows begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine import inbox
from engine.event_form import Incoming
from marketing import depths

JSON = dict[str, Any]

SOURCE: Final = "deliveries"
# Told to everybody; the others only to the run that waits for them.
ALWAYS: Final = frozenset(("failed", "unknown"))


@dataclass(frozen=True, slots=True)
class Told:
    """A message, and what became of it."""

    id: str
    channel: str
    participant_id: str
    flow_id: str | None
    instance_id: str | None
    node_id: str
    template_id: str
    awaited: bool
    status: str
    reason: str = ""


def tell(tenant_id: Any, news: Sequence[Told]) -> None:
    """Put what somebody may wait for into the inbox, in the caller's transaction; said twice, it counts once."""
    tell_all(tenant_id, [each for each in news if each.awaited or each.status in ALWAYS])


def tell_all(tenant_id: Any, news: Sequence[Told]) -> None:
    """Put news into the inbox, whoever waits for them, in the caller's transaction; said twice, they count once."""
    if not news:
        return
    known = depths.of_runs(each.instance_id for each in news)
    inbox.receive(tenant_id, [_event(each, known.get(each.instance_id or "", 0) + 1) for each in news])


def event_id_of(delivery_id: str, status: str) -> str:
    """The id of the event that says that a message has a status; whoever hears of it first tells it."""
    return f"delivery:{delivery_id}:{status}"


def _event(told: Told, depth: int) -> Incoming:
    return Incoming(
        participant_id=told.participant_id,
        event_type=f"{told.channel}_{told.status}",
        data={
            "delivery_id": told.id,
            "channel": told.channel,
            "status": told.status,
            "reason": told.reason,
            "flow_id": told.flow_id,
            "instance_id": told.instance_id,
            "node_id": told.node_id,
            "template_id": told.template_id,
        },
        event_id=event_id_of(told.id, told.status),
        source=SOURCE,
        causation_depth=depth,
    )
