"""What the engine says to participants, what became of it, and the goals that were reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from engine.ports.people import Preferences

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """
    One thing to say to one participant; `key` is the same however often it is handed over.

    `payload` has what its node says (engine.nodes.sending): the template or the content, vars, class, topic and so on.
    `may_repeat`: it may have been queued already, by an attempt that died before it was recorded.
    """

    key: str
    instance_id: str
    node_id: str
    participant_id: str
    channel: str
    payload: JSON = field(default_factory=dict)
    delivery_id: str = ""
    flow_id: str = ""
    at: datetime | None = None
    may_repeat: bool = False


class MessageSender(Protocol):
    """Says things to participants."""

    def enqueue_many(self, tenant_id: str, messages: Sequence[Message]) -> Sequence[JSON]:
        """Queue messages durably, in the caller's transaction; give the result of each, in order."""

    def cancel_many(self, tenant_id: str, delivery_ids: Sequence[str]) -> None:
        """Take back what has not been handed over yet, in the caller's transaction: its run was ended from outside."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """
    A message of a rehearsal, and what is known when it would be queued.

    `quiet_hours` are those of the graph's settings; `zone` is that of participants who have none.
    """

    message: Message
    at: datetime
    participant: JSON | None
    preferences: Preferences | None
    entry: JSON
    run: JSON
    quiet_hours: Any = None
    zone: str = "UTC"
    is_made_up: bool = True


class MessagePreview(Protocol):
    """Knows how messages would look."""

    def preview_many(self, tenant_id: str, rehearsed: Sequence[Rehearsed]) -> Sequence[JSON]:
        """Give what differs of each from a message that is sent at once (its status, its parts), and leave no trace."""


class DeliveryLookup(Protocol):
    """Knows what became of messages."""

    def states_many(self, tenant_id: str, instance_ids: Sequence[str]) -> Mapping[str, Mapping[str, JSON]]:
        """Give `{state, opened, clicked, reason}` by instance and node."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """
    A goal reached; recorded once per instance and name.

    `facts` are what is known of it: `value` (a decimal as text), `currency`, `variant`, `metadata`. `attribution` says
    which message it is put down to, as in the settings of a goal; `holdout`: to none, the participant was kept out.
    """

    instance_id: str
    flow_id: str
    version: int
    participant_id: str
    name: str
    at: datetime
    attribution: str
    facts: JSON = field(default_factory=dict)


class ConversionSink(Protocol):
    """Counts goals."""

    def record_many(self, tenant_id: str, conversions: Sequence[Conversion]) -> None:
        """Record conversions, in the caller's transaction; a repeated one fills in what was not known."""
