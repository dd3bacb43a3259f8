"""How many messages a participant may get in how long a time, and what counts against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

EVERY_CHANNEL = "all"


@dataclass(frozen=True, slots=True)
class Cap:
    """So many messages at most in any span of this length; of one channel or of all, of one flow or of everyone's."""

    max_messages: int
    time_window: timedelta
    channel: str = EVERY_CHANNEL
    scope: str = "flow"

    def of(self, participant_id: str, flow_id: str, now: datetime) -> CapQuestion:
        """Ask it of a participant of a flow."""
        flow = flow_id if self.scope == "flow" else None
        return CapQuestion(participant_id, flow, self.channel, now - self.time_window, self.max_messages)


@dataclass(frozen=True, slots=True)
class CapQuestion:
    """How many messages a participant has got since a moment, of a flow where one is named; counted up to `most`."""

    participant_id: str
    flow_id: str | None
    channel: str
    since: datetime
    most: int

    def concerns(self, channel: str, flow_id: str) -> bool:
        """Tell whether a message on a channel counts; one whose channel is not known yet may be any."""
        same_channel = EVERY_CHANNEL in (self.channel, channel) or self.channel == channel
        return same_channel and self.flow_id in (None, flow_id)


@dataclass(frozen=True, slots=True)
class Slot:
    """A message that the cap of a node has let through and that has not been queued yet."""

    instance_id: str
    flow_id: str
    node_id: str
    channel: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """
    A slot that is to be kept for the run's next message on the channel.

    `replaces` names the node whose slot this one is instead of: several caps before one message let one through.
    `asks_again` has the message ask the caps on its way once more when it is about to go out, after everybody else's.
    """

    slot: Slot
    participant_id: str
    at: datetime
    replaces: str = ""
    asks_again: bool = False


class MessageCaps(Protocol):
    """Knows what participants have been sent, and what is about to be."""

    def hold_many(self, tenant_id: str, participant_ids: Sequence[str]) -> frozenset[str]:
        """
        Try to be the only one who decides on caps of these participants until the transaction ends.

        Gives those who could be had at once.
        """

    def slots_many(self, tenant_id: str, participant_ids: Sequence[str]) -> Mapping[str, Sequence[Slot]]:
        """Give the slots that are kept for live runs."""

    def count_many(self, tenant_id: str, questions: Sequence[CapQuestion]) -> Sequence[int]:
        """Count what is queued and sent, slots not among it."""

    def frees_many(self, tenant_id: str, questions: Sequence[CapQuestion]) -> Sequence[datetime | None]:
        """Give, where a cap is reached, slots counted, the moment when it no longer will be."""

    def reserve_many(self, tenant_id: str, reservations: Sequence[Reservation]) -> None:
        """Keep slots, in the caller's transaction."""


class RunCaps(Protocol):
    """What a node may ask of the caps, for its own run."""

    def count(self, cap: Cap, node_id: str) -> int:
        """Count what stands against a cap at a node of the run; what was let through for this very message does not."""

    def reserve(self, cap: Cap, node_id: str) -> Reservation:
        """Give the reservation of a slot at a node."""


class NoCaps:
    """Nobody has been sent anything."""

    def hold_many(self, tenant_id: str, participant_ids: Sequence[str]) -> frozenset[str]:
        """Hold all."""
        return frozenset(participant_ids)

    def slots_many(self, tenant_id: str, participant_ids: Sequence[str]) -> Mapping[str, Sequence[Slot]]:
        """Know of none."""
        return {}

    def count_many(self, tenant_id: str, questions: Sequence[CapQuestion]) -> Sequence[int]:
        """Count none."""
        return [0] * len(questions)

    def frees_many(self, tenant_id: str, questions: Sequence[CapQuestion]) -> Sequence[datetime | None]:
        """Refuse nobody."""
        return [None] * len(questions)

    def reserve_many(self, tenant_id: str, reservations: Sequence[Reservation]) -> None:
        """Keep nothing."""
