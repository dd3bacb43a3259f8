"""Where a rehearsal is played: from moment to moment, as far as the graph, the plan and the budget go."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import orjson

from engine import activities, routing
from engine.event_router import Arrival
from engine.execution import lookback
from engine.execution.burst import ActivityRow, Burst, Known
from engine.leases import Lease
from engine.moments import iso
from engine.nodes.outcomes import Failed
from engine.ports import Message
from engine.rehearsal import messages, reentry
from engine.rehearsal.plan import Choice, Happening, Plan
from engine.rehearsal.rehearser import Effect, Halted, Rehearser

JSON = dict[str, Any]
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Heard:
    """A planned event: when it came, if it did, and what it did."""

    happening: Happening
    at: datetime | None = None
    effects: list[JSON] = field(default_factory=list)


@dataclass(slots=True)
class Stage:
    """
    One rehearsal under way.

    Whatever a run would wait for comes to it here: its timers, the planned events, and the outcomes of its side
    effects, in the order of their moments. An event comes before a timer of the same moment.
    """

    rehearser: Rehearser
    plan: Plan
    heard: list[Heard] = field(default_factory=list)
    parked: list[str] = field(default_factory=list)
    messages: list[JSON] = field(default_factory=list)
    halted: str = ""
    _agenda: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)
    _past: list[JSON] = field(default_factory=list)
    _seen: int = 0
    _taken: int = 0

    @property
    def burst(self) -> Burst:
        """The run."""
        return self.rehearser.burst

    def play(self) -> None:
        """Go on until nothing is left that could happen."""
        self._plan_events()
        try:
            self._drive()
            while (moment := self._next()) is not None:
                self.rehearser.move_to(moment)
                self._happen(moment)
                self._drive()
        except Halted as end:
            self.halted = str(end)

    def at(self, moment: datetime, act: Callable[[], None]) -> None:
        """Have something happen at a moment, after what was planned for it before."""
        heapq.heappush(self._agenda, (moment, next(self._numbers), act))

    def tell(self, event_type: str, data: JSON, event_id: str = "") -> list[JSON]:
        """Have the run hear of an event now; give what it did."""
        burst, now = self.burst, self.burst.now
        name = event_id or f"rehearsal-{len(self._past) + 1}"
        state = burst.state
        arrival = Arrival(
            name, state.tenant_id, state.participant_id, name, event_type, data, now, now, None, "", 0, ""
        )  # fmt: skip
        self._past.append(routing.as_json(arrival))
        burst.known = self._known()
        listening = [row for row in burst.subscriptions if row.event_type == event_type]
        for row in sorted(listening, key=lambda each: routing.ORDER[each.kind]):
            rule = orjson.dumps(row.filter).decode() if row.filter else None
            listener = routing.Listener(row.kind, row.node_id, rule, row.since, row.until, is_paused=False)
            if routing.hear(listener, arrival, burst):
                burst.subscriptions = [each for each in burst.subscriptions if each is not row]
        reentry.enter_again(burst, arrival)
        return arrival.effects

    # --- time ---

    def _next(self) -> datetime | None:
        moments = [row.due_at for row in self.burst.timers.values()]
        if self._agenda:
            moments.append(self._agenda[0][0])
        return max(self.burst.now, min(moments)) if moments else None

    # What was planned for a moment comes before the waits that end at it.
    def _happen(self, moment: datetime) -> None:
        if self._agenda and self._agenda[0][0] <= moment:
            heapq.heappop(self._agenda)[2]()
            return
        node_id = min(self.burst.timers, key=lambda each: (self.burst.timers[each].due_at, each))
        due = self.burst.timers[node_id].due_at
        self.burst.disarm(node_id)
        self.burst.record("wait_resolved", {"node": node_id, "by": "timer", "due_at": iso(due)})

    # --- the run ---

    def _drive(self) -> None:
        try:
            while self.burst.is_runnable:
                self.rehearser.drive()
                self._look_back()
                self._note_new()
        except Halted:
            raise
        except Exception as error:
            logger.exception("rehearsal.raised")
            self.burst.fail("error", f"{type(error).__name__}: {error}", None)

    def _known(self) -> Known:
        return Known(self.rehearser.step.participant, self.rehearser.step.deliveries)

    # As the loop does it, with the events of the rehearsal for an inbox.
    def _look_back(self) -> None:
        self.burst.known = self._known()
        for node_id, wait in list(self.rehearser.waits.items()):
            self.rehearser.waits.pop(node_id)
            if self.burst.state.status not in ("running", "waiting"):
                continue
            cut = wait.lookback
            known = [
                each
                for each in self._past
                if cut is not None
                and each["event_type"] in wait.event_types
                and datetime.fromisoformat(each["occurred_at"]) >= cut
            ]
            event = lookback.first_match(self.burst, wait.filter, known)
            if event is not None:
                self.rehearser.resolve(node_id, {"by": "event", "event": event, "matched_from": "lookback"})

    # Waits and side effects that have begun since the last look.
    def _note_new(self) -> None:
        new, self._seen = self.burst.events[self._seen :], len(self.burst.events)
        for event, _ in new:
            if event.type == "wait_started":
                self._plan_after(event.data["node"])
        rows, self.burst.activities = self.burst.activities, []
        for row in rows:
            self._begin(row)
        effects = self.rehearser.effects[self._taken :]
        self._taken += len(effects)
        for effect in effects:
            if isinstance(effect.effect, Message):
                self._send(effect)

    def _send(self, effect: Effect) -> None:
        self.rehearser.budget.check(self.burst)
        shown = messages.show(effect, self.rehearser)
        self.messages.append(shown)
        self.rehearser.budget.shown += sum(map(len, shown["rendered"].values()))
        choice = self.plan.choices.get(effect.node_id, Choice())
        for moment, status, reason in messages.steps_of(shown, choice):
            self.at(moment, self._report(effect.effect, shown, status, reason))

    # A message's status changes: nodes read it, and the run hears of it as of any event.
    def _report(self, message: Message, shown: JSON, status: str, reason: str) -> Callable[[], None]:
        def report() -> None:
            shown["status"], shown["reason"] = status, reason or None
            shown["history"].append({"status": status, "at": iso(self.burst.now), "reason": reason or None})
            deliveries = dict(self.rehearser.step.deliveries)
            deliveries[message.node_id] = messages.delivery_of(status, deliveries.get(message.node_id, {}))
            self.rehearser.step.deliveries = deliveries
            self.tell(*messages.event_of(message, status, reason))

        return report

    def _begin(self, row: ActivityRow) -> None:
        choice = self.plan.choices.get(row.node_id, Choice())
        self.at(self.burst.now + choice.after, lambda: self._end(row))

    def _end(self, row: ActivityRow) -> None:
        state = self.burst.state
        lease = Lease(
            row.id, state.tenant_id, state.flow_id, state.id, row.node_id, row.kind, row.target, row.input, row.key,
            {**row.policy, "attempts": 1}, 1,
        )  # fmt: skip
        outcome = self.rehearser.outcome_of(row.node_id)
        ended = activities.judge(lease, outcome)
        if isinstance(outcome, Failed) and ended.status == "parked":
            self.parked.append(row.node_id)
        activities.append_outcome(self.burst, ended)

    # --- the plan ---

    def _plan_events(self) -> None:
        self.heard = [Heard(happening) for happening in self.plan.events]
        for each in self.heard:
            if each.happening.node_id is None:
                moment = each.happening.at or self.plan.begins + each.happening.after
                self.at(moment, self._come(each))

    def _plan_after(self, node_id: str) -> None:
        for each in self.heard:
            if each.happening.node_id == node_id and each.at is None:
                self.at(self.burst.now + each.happening.after, self._come(each))

    def _come(self, heard: Heard) -> Callable[[], None]:
        def come() -> None:
            heard.at = self.burst.now
            heard.effects = self.tell(heard.happening.event_type, heard.happening.data)

        return come
