"""Runs one instance in memory through as many nodes as it can, until every token waits or ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_never

from engine import ports
from engine.execution import program
from engine.execution.burst import Burst
from engine.execution.caps import CapsOfRun
from engine.execution.leaving import fail, go_on
from engine.execution.program import CompiledNode
from engine.execution.tokens import HELD, RUNNING
from engine.moments import iso
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Branched, Completed, Failed, Outcome, Waiting
from engine.nodes.wakeups import EventArrived, TimerFired, Wakeup

JSON = dict[str, Any]
logger = logging.getLogger(__name__)


class Executor:
    """
    Drives the tokens of one burst.

    `waits` gathers the tokens that began to wait for an event: the loop takes their participants' locks and looks back
    into the inbox before it writes them, and may drive the burst again with what it found.
    """

    def __init__(
        self,
        burst: Burst,
        *,
        participant: JSON | None = None,
        preferences: ports.Preferences | None = None,
        segments: frozenset[str] = frozenset(),
        caps: CapsOfRun | None = None,
        deliveries: Mapping[str, JSON] | None = None,
    ) -> None:
        self.burst = burst
        self.caps = caps
        self.waits: dict[str, Waiting] = {}
        run = burst.state
        self.step = StepContext(
            now=burst.now,
            tenant_id=run.tenant_id,
            instance_id=run.id,
            node_id="",
            participant_id=run.participant_id,
            entry=run.entry,
            accumulated=run.accumulated,
            outcomes=run.outcomes,
            run={
                "id": run.id,
                "participant_id": run.participant_id,
                "flow": run.flow_id,
                "version": run.version,
                "entered_at": run.entered_at,
            },
            participant=participant,
            preferences=preferences,
            segments=segments,
            caps=caps,
            deliveries=deliveries or {},
            default_timezone=program.zone_of(burst.program, run.tenant_id),
            entered_at=run.entered_at,
            aliases=burst.program.aliases,
        )

    def drive(self) -> None:
        """Run until no token can; held joins are looked at again whenever a token has ended."""
        state = self.burst.state
        while state.status == RUNNING:
            node_id = self._next_token()
            if node_id is None:
                return
            self._run_token(node_id)
            if len(state.tokens) > 1 or HELD in (each["status"] for each in state.tokens.values()):
                self._release_joins()
            if not state.tokens and not self.burst.ended:
                self.burst.end("completed", {"reason": "", "node": None})

    def resolve(self, node_id: str, wake: JSON) -> None:
        """End a wait of this burst at once: a look-back found its event, or its time had already come."""
        self.waits.pop(node_id, None)
        self.burst.disarm(node_id)
        self.burst.record("wait_resolved", {"node": node_id, **wake})

    def look(self, compiled: CompiledNode) -> Outcome:
        """Ask a node what it would do now, and do nothing."""
        return self._ask(compiled, None)

    # --- tokens ---

    def _next_token(self) -> str | None:
        for node_id, each in self.burst.state.tokens.items():
            if each["status"] == RUNNING:
                return node_id
        return None

    def _run_token(self, node_id: str) -> None:
        compiled = self.burst.program.nodes.get(node_id)
        if compiled is None:
            self.burst.fail("unknown_node", f"Version {self.burst.state.version} has no node {node_id}.", node_id)
            return
        if compiled.joins_all and not self._may_join(node_id):
            self.burst.record("token_joined", {"node": node_id, "from": None, "absorbed": False})
            return
        if compiled.node is None:
            fail(self.burst, compiled, ("unknown_type", compiled.trouble))
            return
        wake = self.burst.state.tokens[node_id]["wake"]
        if wake is not None and wake["by"] == "activity":
            self._take_activity(compiled, wake)
        elif wake is None and compiled.is_activity:
            self._schedule(compiled)
        else:
            self._take(compiled, self._ask(compiled, wake))

    # Runs the node's own code. Whatever it raises is this instance's trouble alone.
    def _ask(self, compiled: CompiledNode, wake: JSON | None) -> Outcome:
        node = compiled.node
        assert node is not None
        self._look_at(compiled, wake)
        try:
            if wake is None:
                return node.execute(compiled.config, self.step)
            return node.resume(compiled.config, self.step, wakeup(wake))
        except (Exception, SystemExit) as error:
            logger.exception("node.raised", extra={"node": compiled.id, "instance": self.burst.state.id})
            return Failed(f"{type(error).__name__}: {error}")

    # Moves the one context of this instance to the node.
    def _look_at(self, compiled: CompiledNode, wake: JSON | None) -> None:
        token = self.burst.state.tokens[compiled.id]
        after = token["after"]
        self.step.node_id, self.step.attempt = compiled.id, token["attempt"]
        self.step.since_previous = datetime.fromisoformat(after) if after else None
        self.step.wait = wake["wait"] if wake else {}

    def _take(self, compiled: CompiledNode, outcome: Outcome) -> None:
        match outcome:
            case Completed():
                self._complete(compiled, None, outcome.result, outcome, effects=outcome.effects)
            case Branched():
                self._complete(compiled, outcome.branch, outcome.result, effects=outcome.effects)
            case Waiting():
                self._wait(compiled, outcome)
            case Failed():
                fail(self.burst, compiled, (outcome.code, outcome.reason), outcome.result)
            case _:
                assert_never(outcome)

    # --- outcomes ---

    def _complete(
        self,
        compiled: CompiledNode,
        branch: str | None,
        result: JSON,
        ends: Completed | None = None,
        *,
        effects: tuple[Any, ...] = (),
    ) -> None:
        burst = self.burst
        if not (compiled.edges.get(branch) or compiled.is_end or (ends and ends.ends)):
            fail(
                burst,
                compiled,
                ("no_edge", f"No edge leads on from {compiled.id} for the branch {branch or '(none)'}."),
            )
            return
        if effects:
            self._affect(effects)
        n = burst.end_step(compiled.id, status="completed", branch=branch, output=result)
        go_on(burst, compiled, branch, result, step=n)
        if ends is not None and ends.goal:
            facts = {"facts": ends.facts} if ends.facts else {}
            burst.record("goal_reached", {"name": ends.goal, "node": compiled.id, "event": None, **facts})
        if ends is not None and ends.ends:
            burst.end("completed", {"reason": ends.reason, "node": compiled.id})

    # What follows in this run sees its own changes, before anybody else does.
    def _affect(self, effects: tuple[Any, ...]) -> None:
        self.burst.effects += effects
        if self.caps is not None:
            self.caps.note(effects)
        for effect in effects:
            if isinstance(effect, ports.ProfileChange) and self.step.participant is not None:
                self.step.participant = ports.bound().profiles.changed(self.step.participant, effect)
                self.step.preferences = self.step.preferences and self.step.preferences.after(effect)

    def _wait(self, compiled: CompiledNode, wait: Waiting) -> None:
        burst = self.burst
        if wait.effects:
            self._affect(wait.effects)
        if burst.state.tokens[compiled.id]["step"] is None:
            burst.begin_step(compiled.id, status="waiting")
        burst.record(
            "wait_started",
            {
                "node": compiled.id,
                "until": iso(wait.until) if wait.until else None,
                "event_types": list(wait.event_types),
                "filter": wait.filter,
                "wait": wait.data,
            },
        )
        types = list(wait.event_types)
        burst.arm(compiled.id, until=wait.until, event_types=types, filter_=wait.filter, since=wait.lookback)
        if wait.event_types:
            self.waits[compiled.id] = wait
        elif wait.until is not None and wait.until <= burst.now:
            self.resolve(compiled.id, {"by": "timer"})

    def _schedule(self, compiled: CompiledNode) -> None:
        node = compiled.node
        assert node is not None
        self._look_at(compiled, None)
        try:
            payload = node.prepare(compiled.config, self.step)
        except (Exception, SystemExit) as error:
            logger.exception("node.raised", extra={"node": compiled.id, "instance": self.burst.state.id})
            fail(self.burst, compiled, ("error", f"{type(error).__name__}: {error}"))
            return
        self.burst.begin_step(compiled.id, status="waiting", step_input=payload)
        self.burst.schedule(compiled.id, kind="node", target=compiled.type, payload=payload, policy=compiled.policy)

    def _take_activity(self, compiled: CompiledNode, wake: JSON) -> None:
        if "error" in wake:
            fail(self.burst, compiled, (wake["error"]["code"], wake["error"]["detail"]), wake["error"].get("result"))
            return
        outcome = wake["outcome"]
        ends = Completed(ends=outcome["ends"], reason=outcome["reason"]) if outcome.get("ends") else None
        self._complete(compiled, outcome["branch"], outcome["result"], ends)

    # --- joins ---

    def _may_join(self, node_id: str) -> bool:
        compiled, tokens = self.burst.program, self.burst.state.tokens
        return not any(other != node_id and compiled.can_reach(other, node_id) for other in tokens)

    # One that was released may have been the last that could reach another.
    def _release_joins(self) -> None:
        state = self.burst.state
        while state.status in ("running", "waiting") and not self.burst.ended:
            held = (key for key, each in state.tokens.items() if each["status"] == HELD and self._may_join(key))
            node_id = next(held, None)
            if node_id is None:
                return
            self._run_token(node_id)


def wakeup(wake: JSON) -> Wakeup:
    """Turn what resolved a wait into what its node is told."""
    if wake["by"] == "event":
        event = wake["event"]
        return EventArrived(
            event["event_id"], event["event_type"], event["data"], datetime.fromisoformat(event["occurred_at"])
        )
    return TimerFired()
