"""
The caps of a batch: decided under the locks of the participants, in the transaction that writes what follows of it.

Two runs of one participant never decide at the same time. The locks are only tried: whoever loses stays runnable, so
that a batch, which holds its instances, never waits for another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine import ports
from engine.execution.burst import Burst
from engine.execution.tokens import RUNNING
from engine.message_caps import EVERY_CHANNEL, Cap, CapQuestion, Reservation, Slot
from engine.nodes.sending import Send
from engine.ports import Message

Key = tuple[str, str]


@dataclass(slots=True)
class Ledger:
    """What stands against the caps of one participant: what is stored, and what the runs of this batch add to it."""

    counted: dict[CapQuestion, int] = field(default_factory=dict)
    slots: list[Slot] = field(default_factory=list)
    queued: list[tuple[str, str]] = field(default_factory=list)

    def keep(self, reservation: Reservation) -> None:
        """Add a slot."""
        slot = reservation.slot
        self.slots = [
            each for each in self.slots if (each.instance_id, each.node_id) != (slot.instance_id, reservation.replaces)
        ]
        self.slots.append(slot)

    def queue(self, message: Message, flow_id: str) -> None:
        """Add a message; a slot of its run is used up."""
        own = [each for each in self.slots if each.instance_id == message.instance_id]
        for channel in (message.channel, EVERY_CHANNEL):
            if used := next((each for each in own if each.channel == channel), None):
                self.slots.remove(used)
                break
        self.queued.append((message.channel, flow_id))


@dataclass(frozen=True, slots=True)
class CapsOfRun:
    """The caps, as a run sees them."""

    burst: Burst
    ledger: Ledger

    def count(self, cap: Cap, node_id: str) -> int:
        """Count what stands against a cap; a slot that was kept for the same message does not."""
        state = self.burst.state
        question = cap.of(state.participant_id, state.flow_id, self.burst.now)
        same = self._same(cap, node_id)
        kept = [(each.channel, each.flow_id) for each in self.ledger.slots if each not in same]
        added = sum(question.concerns(*each) for each in kept + self.ledger.queued)
        return self.ledger.counted[question] + added

    def reserve(self, cap: Cap, node_id: str) -> Reservation:
        """Give the reservation of a slot at a node; of two caps for one message the narrower channel is kept."""
        state = self.burst.state
        before = next(iter(self._same(cap, node_id)), None)
        channel = before.channel if before is not None and cap.channel == EVERY_CHANNEL else cap.channel
        slot = Slot(state.id, state.flow_id, node_id, channel)
        return Reservation(slot, state.participant_id, self.burst.now, before.node_id if before else "")

    def note(self, effects: Iterable[Any]) -> None:
        """Have what the run does count from now on."""
        for effect in effects:
            if isinstance(effect, Reservation):
                self.ledger.keep(effect)
            elif isinstance(effect, Message):
                self.ledger.queue(effect, self.burst.state.flow_id)

    # The run's own slots of nodes that lead here: those of parallel branches are for messages of their own.
    def _same(self, cap: Cap, node_id: str) -> list[Slot]:
        state, program = self.burst.state, self.burst.program
        return [
            each
            for each in self.ledger.slots
            if each.instance_id == state.id
            and program.can_reach(each.node_id, node_id)
            and (each.channel == cap.channel or EVERY_CHANNEL in (each.channel, cap.channel))
        ]


@dataclass(slots=True)
class Held:
    """The caps of those whose participant's lock was to be had, by run; and the others, who have to come again."""

    caps: dict[str, CapsOfRun] = field(default_factory=dict)
    contended: set[str] = field(default_factory=set)


def hold(bursts: Sequence[Burst]) -> Held:
    """Take the locks of those who may come to a cap, and read what counts: three statements, or none."""
    held = Held()
    by_tenant: dict[str, list[Burst]] = {}
    for burst in bursts:
        if _concerned(burst):
            by_tenant.setdefault(burst.state.tenant_id, []).append(burst)
    for tenant_id, some in by_tenant.items():
        got = ports.bound().caps.hold_many(tenant_id, sorted({burst.state.participant_id for burst in some}))
        held.contended.update(burst.state.id for burst in some if burst.state.participant_id not in got)
        _read(tenant_id, [burst for burst in some if burst.state.participant_id in got], held)
    return held


def keep_again(bursts: Sequence[Burst]) -> None:
    """
    Keep slots for what failed runs may still send when they go on.

    What their caps had let through has counted for nobody since; the message asks them again when it goes out.
    """
    by_tenant: dict[str, list[Reservation]] = {}
    for burst in bursts:
        by_tenant.setdefault(burst.state.tenant_id, []).extend(_again(burst))
    for tenant_id, reservations in by_tenant.items():
        if reservations:
            ports.bound().caps.reserve_many(tenant_id, reservations)


# Of several caps on the way to a message the last one keeps the slot.
def _again(burst: Burst) -> Iterator[Reservation]:
    state, program = burst.state, burst.program
    passed = [key for key in program.caps if state.outcomes.get(key) == "allowed" and _leads_to_a_send(burst, key)]
    for key in passed:
        if not any(program.can_reach(key, other) for other in passed if other != key):
            slot = Slot(state.id, state.flow_id, key, program.caps[key].channel)
            yield Reservation(slot, state.participant_id, burst.now, asks_again=True)


def _leads_to_a_send(burst: Burst, cap: str) -> bool:
    program, channel = burst.program, burst.program.caps[cap].channel
    sends = [key for key, each in program.nodes.items() if isinstance(each.node, Send)
             and channel in (EVERY_CHANNEL, each.node.channel)]  # fmt: skip
    ahead = [token for token in burst.state.tokens if program.can_reach(cap, token)]
    return any(token == send or program.can_reach(token, send) for token in ahead for send in sends)


def _read(tenant_id: str, bursts: Sequence[Burst], held: Held) -> None:
    ledgers: dict[str, Ledger] = {burst.state.participant_id: Ledger() for burst in bursts}
    for burst in bursts:
        held.caps[burst.state.id] = CapsOfRun(burst, ledgers[burst.state.participant_id])
    questions = list(
        {
            cap.of(burst.state.participant_id, burst.state.flow_id, burst.now): None
            for burst in bursts
            for cap in burst.program.caps.values()
        }
    )
    if not questions:
        return
    found = ports.bound().caps
    for question, count in zip(questions, found.count_many(tenant_id, questions), strict=True):
        ledgers[question.participant_id].counted[question] = count
    for participant_id, slots in found.slots_many(tenant_id, sorted(ledgers)).items():
        ledgers[participant_id].slots += slots


# Whoever can come to a node with a cap in this batch; and all of a flow whose own cap is asked when a message goes out,
# so that messages are queued in an order that everybody sees the same.
def _concerned(burst: Burst) -> bool:
    program, tokens = burst.program, burst.state.tokens
    if not program.caps and program.settings.frequency_cap is None:
        return False
    if program.settings.frequency_cap is not None:
        return burst.is_runnable
    return any(
        each["status"] == RUNNING and (key in program.caps or any(program.can_reach(key, cap) for cap in program.caps))
        for key, each in tokens.items()
    )
