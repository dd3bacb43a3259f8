"""Operators, events, time and side effects in any order: the run is what a simple model says it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine import activities, errors, event_router, operations, timers, triggers, verify, why
from engine.connections import execute
from engine.execution import folding
from engine.inbox import publish_event
from engine.leases import Lease
from engine.nodes import registry
from engine.nodes.outcomes import Completed
from engine.snapshots import loading
from engine.snapshots.loading import Aggregate
from flows.models import Flow, FlowInstance
from flows.models.instance import LIVE
from tests.engine.conftest import NOON, FakeClock
from tests.engine.test_random_graphs import META, Fragile, Outside, Plain
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle

EAR = {"event_type": "go", "timeout": "2h"}
# Three branches that wait for time, for an event and for a side effect, meet at a node that fails the first time.
GRAPH = graph(
    {
        "entry": (*ENTRY, {None: ["pause", "ear", "side"]}),
        "pause": ("wait", {"duration": "1h"}, {None: "meet"}),
        "ear": ("wait_for_event", EAR, {"event_received": "meet", "timed_out": "meet"}),
        "side": ("outside", {}, {None: "meet"}),
        "meet": ("fragile", {}, {None: "done"}, {"join": "all"}),
        "done": ("exit", {"reason": "through"}),
    }
)
PEOPLE = ("ada", "bob")
NEVER = NOON + timedelta(days=10_000)
NEVER_TAKEN = 10_000
MORE_THAN_ONE_LIVE = f"""
    SELECT participant_id FROM flow_instances
     WHERE flow_id = %s AND status IN ({", ".join(f"'{each}'" for each in LIVE)}) GROUP BY 1 HAVING count(*) > 1
"""


@dataclass
class Run:
    """What the model knows of a run: which branches are still to come, and what stands in the way."""

    who: str
    status: str = "fresh"
    before: str = ""
    waits: dict[str, datetime] = field(default_factory=dict)
    woken: set[str] = field(default_factory=set)
    has_failed: bool = False

    @property
    def is_live(self) -> bool:
        return self.status in {"fresh", "going", "paused"}

    @property
    def possible(self) -> set[str]:
        """What its row may say, before the loop has come by and after."""
        if self.status == "fresh":
            return {"running"}
        if self.status == "going":
            return {"waiting"} if self.waits and not self.woken else {"running", "waiting"}
        return {self.status}

    def look(self, now: datetime) -> None:
        """What the loop does when it comes by."""
        if self.status == "fresh":
            self.status = "going"
            self.waits = {"pause": now + timedelta(hours=1), "ear": now + timedelta(hours=2), "side": NEVER}
        if self.status != "going":
            return
        for branch in self.woken:
            del self.waits[branch]
        self.woken = set()
        if not self.waits:
            self.status = "completed" if self.has_failed else "failed"
            self.has_failed = True

    def wake(self, branch: str) -> None:
        """What an event, a timer or a side effect does to a branch that waits for it."""
        if self.is_live and branch in self.waits:
            self.woken.add(branch)


class Machine(RuleBasedStateMachine):
    """The product's verbs, each beside what the model says it does."""

    flow_of: Callable[..., Flow]
    clock: FakeClock

    @initialize()
    def begin(self) -> None:
        self.clock.move_to(NOON)
        self.flow = type(self).flow_of(GRAPH, name=f"flow {uuid4()}")
        # Names of this example alone: the database has those of the others.
        self.names = {who: f"{who} {self.flow.pk}" for who in PEOPLE}
        self.runs: dict[str, Run] = {}
        self.leases: list[Lease] = []
        for who in PEOPLE:
            self.start(who, at_once=False)

    # --- what operators do ---

    @rule(who=st.sampled_from(PEOPLE), at_once=st.booleans())
    def start(self, who: str, *, at_once: bool) -> None:
        taken = self.is_taken(who)
        try:
            key = str(triggers.start(self.flow, self.names[who]).pk)
        except errors.AlreadyInFlow:
            assert taken
        else:
            assert not taken
            self.runs[key] = Run(who)
        self.advance(really=at_once)

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 5), at_once=st.booleans())
    def pause(self, number: int, *, at_once: bool) -> None:
        key, run = self.chosen(number)
        self.act(operations.pause_many, key, allowed=run.status in {"fresh", "going"})
        if run.status in {"fresh", "going"}:
            run.before, run.status = run.status, "paused"
        self.advance(really=at_once)

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 5), at_once=st.booleans())
    def resume(self, number: int, *, at_once: bool) -> None:
        key, run = self.chosen(number)
        self.act(operations.resume_many, key, allowed=run.status == "paused")
        if run.status == "paused":
            run.status = run.before
        self.advance(really=at_once)

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 5), at_once=st.booleans())
    def cancel(self, number: int, *, at_once: bool) -> None:
        key, run = self.chosen(number)
        self.act(operations.cancel_many, key, allowed=run.is_live)
        if run.is_live:
            run.status = "exited"
        self.advance(really=at_once)

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 5), at_once=st.booleans())
    def retry(self, number: int, *, at_once: bool) -> None:
        key, run = self.chosen(number)
        allowed = run.status == "failed" and not self.is_taken(run.who)
        self.act(operations.retry_many, key, allowed=allowed)
        if allowed:
            run.status = "going"
        self.advance(really=at_once)

    # --- what happens by itself ---

    @rule(who=st.sampled_from(PEOPLE))
    def event(self, who: str) -> None:
        publish_event(self.names[who], "go", tenant=self.flow.tenant)
        event_router.route()
        for run in self.runs.values():
            # What comes after the end of a wait counts only while a pause holds its end back.
            if run.who == who and (run.status == "paused" or self.clock() <= run.waits.get("ear", NEVER)):
                run.wake("ear")
        self.advance()

    @rule(minutes=st.integers(20, 90))
    def time(self, minutes: int) -> None:
        self.clock.advance(minutes=minutes)
        timers.wake_due()
        for run in self.runs.values():
            for branch, due in run.waits.items():
                if run.status == "going" and due <= self.clock():
                    run.wake(branch)
        self.advance()

    @rule()
    def begin_side_effects(self) -> None:
        self.leases += activities.take(10, "worker")

    @precondition(lambda self: self.leases)
    @rule()
    def end_side_effects(self) -> None:
        activities.record([activities.judge(each, Completed({})) for each in self.leases], META)
        for each in self.leases:
            self.runs[str(each.instance_id)].wake("side")
        self.leases = []
        self.advance()

    @rule()
    def let_everything_come(self) -> None:
        self.advance()
        self.begin_side_effects()
        self.end_side_effects()
        self.time(minutes=130)

    @rule()
    def advance(self, *, really: bool = True) -> None:
        if really:
            run_until_idle()
            for run in self.runs.values():
                run.look(self.clock())

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 5))
    def snapshot(self, number: int) -> None:
        key, _ = self.chosen(number)
        of = self.aggregate(key)
        loading.take(of, loading.load(of, every=NEVER_TAKEN))

    # --- what always holds ---

    @invariant()
    def rows_are_what_the_model_says(self) -> None:
        if not hasattr(self, "runs"):
            return
        statuses = dict(FlowInstance.objects.filter(flow=self.flow).values_list("pk", "status"))
        assert {str(key) for key in statuses} == self.runs.keys()
        for key, status in statuses.items():
            assert status in self.runs[str(key)].possible, (status, self.runs[str(key)])

    @invariant()
    def everything_is_sound(self) -> None:
        if not hasattr(self, "runs"):
            return
        assert [each for share in verify.verify() for each in share.differences] == []
        assert why.stranded() == []
        assert execute(MORE_THAN_ONE_LIVE, [self.flow.pk]).fetchall() == []

    def teardown(self) -> None:
        if not hasattr(self, "runs"):
            return
        for number, run in enumerate(list(self.runs.values())):
            if run.status == "paused":
                self.resume(number, at_once=True)
        self.let_everything_come()
        for number in range(len(self.runs)):
            self.retry(number, at_once=True)
        assert {run.status for run in self.runs.values()} <= {"completed", "exited"}
        self.rows_are_what_the_model_says()
        self.everything_is_sound()
        for key in self.runs:
            self.follow_arrows(key)

    # Every step of its log along an arrow of the table.
    def follow_arrows(self, key: str) -> None:
        state, was = folding.initial(key), "running"
        for each in self.aggregate(key).events():
            state = folding.FOLD.apply(state, each)
            assert FlowInstance.TRANSITIONS.allows(was, state.status), (was, state.status, each)
            was = state.status

    # --- shorthand ---

    def chosen(self, number: int) -> tuple[str, Run]:
        return list(self.runs.items())[number % len(self.runs)]

    def is_taken(self, who: str) -> bool:
        return any(run.who == who and run.is_live for run in self.runs.values())

    def act(self, verb: Callable[[list[str]], list[operations.Verdict]], key: str, *, allowed: bool) -> None:
        (verdict,) = verb([key])
        assert (verdict.refusal is None) == allowed, (verdict, self.runs[key])

    def aggregate(self, key: str) -> Aggregate:
        return Aggregate(str(self.flow.tenant_id), key, folding.FOLD)


def test_a_run_is_what_the_model_says(flow_of: Callable[..., Flow], now: FakeClock) -> None:
    for node in (Plain, Fragile, Outside):
        registry.register(node)
    machine = type("WithFixtures", (Machine,), {"flow_of": staticmethod(flow_of), "clock": now})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
