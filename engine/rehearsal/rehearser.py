"""The executor of a rehearsal: nodes run as they would, except where their outcome was chosen, and all is noted."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine import ports
from engine.execution.burst import Burst
from engine.execution.executor import Executor
from engine.execution.program import CompiledNode
from engine.message_caps import Cap, Reservation, Slot
from engine.nodes.outcomes import Outcome, Waiting
from engine.rehearsal.plan import Choice, Plan

JSON = dict[str, Any]

# Whatever was asked for, a rehearsal is over by then.
MOST_SECONDS = 5.0
MOST_BYTES = 4 * 1024 * 1024


class Halted(Exception):
    """The rehearsal has used up what it may use."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the participant."""

    profile: JSON | None = None
    preferences: ports.Preferences | None = None
    segments: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that a node would have had done outside of its run; `seen` is the profile that it had before it."""

    at: datetime
    node_id: str
    effect: Any
    seen: JSON | None


@dataclass(slots=True)
class Budget:
    """How much time and data is left."""

    until: float = field(default_factory=lambda: time.monotonic() + MOST_SECONDS)
    shown: int = 0

    def check(self, burst: Burst) -> None:
        """Raise Halted where nothing is left."""
        if time.monotonic() > self.until:
            raise Halted(f"The rehearsal took longer than {MOST_SECONDS:g} seconds and was ended.")
        if self.shown + sum(len(data) for _, data in burst.events) > MOST_BYTES:
            raise Halted(f"The rehearsal made more than {MOST_BYTES // 1024 // 1024} MiB of data and was ended.")


class Caps:
    """Frequency caps as the run would find them: what the participant has been sent, and what it sends itself."""

    def __init__(self, rehearser: Rehearser) -> None:
        self._of = rehearser

    def count(self, cap: Cap, node_id: str) -> int:
        """Count the messages that stand against a cap."""
        state = self._of.burst.state
        question = cap.of(state.participant_id, state.flow_id, self._of.burst.now)
        (stored,) = ports.bound().caps.count_many(state.tenant_id, [question])
        own = [each for each in self._of.effects if isinstance(each.effect, ports.Message)]
        counted = [each for each in own if question.concerns(each.effect.channel, state.flow_id)]
        return stored + sum(each.at > question.since for each in counted)

    def reserve(self, cap: Cap, node_id: str) -> Reservation:
        """Give a reservation, which nobody keeps."""
        state = self._of.burst.state
        slot = Slot(state.id, state.flow_id, node_id, cap.channel)
        return Reservation(slot, state.participant_id, self._of.burst.now)


class Rehearser(Executor):
    """Drives the tokens of a rehearsal; `effects` is what nodes would have had done, in order."""

    def __init__(self, burst: Burst, plan: Plan, known: Known) -> None:
        super().__init__(burst, participant=known.profile, preferences=known.preferences, segments=known.segments)
        self.choices = plan.choices
        self.is_made_up = plan.profile is not None
        self.effects: list[Effect] = []
        self.budget = Budget()
        self.step.caps = Caps(self)

    def move_to(self, moment: datetime) -> None:
        """Go on at a later moment."""
        self.burst.now = self.step.now = moment

    def outcome_of(self, node_id: str) -> Outcome:
        """Give how the side effect of a node turns out: as chosen, else as its type takes it."""
        compiled = self.burst.program.nodes[node_id]
        assert compiled.node is not None
        self.step.node_id = node_id
        outcome = compiled.node.rehearse(compiled.config, self.step)
        return self.choices.get(node_id, Choice()).over(outcome)

    def _ask(self, compiled: CompiledNode, wake: JSON | None) -> Outcome:
        self.budget.check(self.burst)
        outcome = super()._ask(compiled, wake)
        choice = self.choices.get(compiled.id)
        return outcome if choice is None or isinstance(outcome, Waiting) else choice.over(outcome)

    def _affect(self, effects: tuple[Any, ...]) -> None:
        at, node_id, seen = self.burst.now, self.step.node_id, self.step.participant
        self.effects += (Effect(at, node_id, effect, seen) for effect in effects)
        super()._affect(effects)
