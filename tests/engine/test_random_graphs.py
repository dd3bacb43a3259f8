"""
Any graph, any order of what happens: each node at most once, joins as promised, nobody stranded, rows are what events
say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine import activities, event_router, operations, timers, triggers
from engine.inbox import publish_event
from engine.models import StoredEvent
from engine.nodes import registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Node, NodeConfig, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Failed, Outcome
from flows.models import ExecutionStep, Flow, FlowInstance
from tests.engine.conftest import NOON, FakeClock
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle
from tests.support.soundness import assert_all_sound

META = {"actor": "test", "task_id": ""}


class Plain(Node):
    """An inline node with one way out."""

    type = "plain"
    runs_as = RunsAs.INLINE

    class Config(NodeConfig):
        """Nothing to say."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        return Completed({})


class Fragile(Node):
    """Fails the first time, and goes on at the retry."""

    type = "fragile"
    runs_as = RunsAs.INLINE
    failed: set[tuple[str, str]] = set()

    class Config(NodeConfig):
        """Nothing to say."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        key = (step.instance_id, step.node_id)
        if key not in Fragile.failed:
            Fragile.failed.add(key)
            return Failed("the first time")
        return Completed({})


class Outside(Node):
    """A side effect."""

    type = "outside"

    class Config(ActionConfig):
        """As every action."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        return Completed({})


KINDS = ("plain", "condition", "wait", "wait_for_event", "outside", "fragile")


@dataclass
class Drawn:
    """A random graph: node i has edges to later nodes only; the last one has none."""

    kinds: list[str]
    joins: list[str]
    truths: list[bool]
    targets: list[list[int]]
    others: list[int] = field(default_factory=list)

    def as_graph(self) -> dict[str, Any]:
        nodes: dict[str, tuple[Any, ...]] = {"entry": (*ENTRY, {None: "n0"})}
        for i, kind in enumerate(self.kinds):
            to = [f"n{j}" for j in self.targets[i]]
            more = {"join": self.joins[i]}
            other = f"n{self.others[i]}"
            if kind == "condition":
                rule = {} if self.truths[i] else {"any": []}
                nodes[f"n{i}"] = ("condition", rule, {"true": to, "false": other}, more)
            elif kind == "wait":
                nodes[f"n{i}"] = ("wait", {"duration": f"{i + 1}h"}, {None: to}, more)
            elif kind == "wait_for_event":
                config = {"event_type": f"e{i}", "timeout": f"{i + 1}h"}
                nodes[f"n{i}"] = ("wait_for_event", config, {"event_received": to, "timed_out": to}, more)
            else:
                nodes[f"n{i}"] = (kind, {}, {None: to}, more)
        last = len(self.kinds)
        nodes[f"n{last}"] = ("goal_reached", {"goal_name": "end", "exit": False}, {}, {"join": self.joins[last]})
        return graph(nodes)

    def next_of(self, i: int) -> list[int]:
        """The independent model of one node: where its tokens go."""
        if i == len(self.kinds):
            return []
        if self.kinds[i] == "condition" and not self.truths[i]:
            return [self.others[i]]
        return self.targets[i]

    def may_reach(self, i: int) -> set[int]:
        """Whatever a token at i might still come to, by any branch."""
        if i == len(self.kinds):
            return set()
        below = {*self.targets[i], *([self.others[i]] if self.kinds[i] == "condition" else [])}
        return below.union(*(self.may_reach(j) for j in below))

    def visited(self) -> set[int]:
        """Whatever runs, in any order of what happens: all that is reached from the entry by branches taken."""
        found: set[int] = set()
        ahead = [0]
        while ahead:
            i = ahead.pop()
            if i not in found:
                found.add(i)
                ahead.extend(self.next_of(i))
        return found


@st.composite
def drawn_graphs(draw: st.DrawFn) -> Drawn:
    size = draw(st.integers(2, 7))
    kinds = [draw(st.sampled_from(KINDS)) for _ in range(size)]
    joins = ["any", *(draw(st.sampled_from(["any", "all"])) for _ in range(size))]
    truths = [draw(st.booleans()) for _ in range(size)]
    targets, others = [], []
    for i in range(size):
        later = st.integers(i + 1, size)
        targets.append(sorted(draw(st.sets(later, min_size=1, max_size=3))))
        others.append(draw(later))
    drawn = Drawn(kinds, joins, truths, targets, others)
    assume({0} | drawn.may_reach(0) == set(range(size + 1)))
    return drawn


HAPPENINGS = ("timers", "event", "activity", "advance", "pause", "resume", "retry", "clock")


class Story:
    """One participant, and whatever happens to them."""

    def __init__(self, flow: Flow, clock: FakeClock) -> None:
        self.flow, self.clock = flow, clock
        self.name = str(flow.pk)
        self.id = str(triggers.start(flow, self.name).pk)

    def happen(self, what: str, draw: Callable[[int], int]) -> None:
        match what:
            case "timers":
                timers.wake_due()
            case "event":
                publish_event(self.name, f"e{draw(7)}", tenant=self.flow.tenant)
                event_router.route()
            case "activity":
                leases = activities.take(1 + draw(3), "worker")
                activities.record([activities.judge(each, Completed({})) for each in leases], META)
            case "advance":
                run_until_idle()
            case "pause":
                operations.pause_many([self.id])
            case "resume":
                operations.resume_many([self.id])
            case "retry":
                operations.retry_many([self.id])
            case "clock":
                self.clock.advance(hours=1 + draw(3))

    def finish(self) -> None:
        """Let everything happen that can, until nothing does."""
        for _ in range(40):
            for what in ("resume", "retry", "advance", "activity", "clock", "timers", "advance"):
                self.happen(what, lambda most: most - 1)
            if FlowInstance.objects.get(pk=self.id).status in ("completed", "exited"):
                return
        raise AssertionError("it never ends")


def check_order(drawn: Drawn, story: Story) -> None:
    done = [
        int(event.data["node"][1:])
        for event in StoredEvent.objects.filter(aggregate_id=story.id, type="node_completed").order_by("sequence")
        if event.data["node"] != "entry"
    ]
    assert len(done) == len(set(done))
    assert set(done) == drawn.visited()
    for place, i in enumerate(done):
        if drawn.joins[i] == "all":
            late = [j for j in done[place + 1 :] if i in drawn.may_reach(j)]
            assert late == [], f"n{i} did not wait for {late}"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_any_graph_under_any_interleaving(flow_of: Callable[..., Flow], now: FakeClock, data: st.DataObject) -> None:
    for node in (Plain, Fragile, Outside):
        if node.type not in {each.type for each in registry.all()}:
            registry.register(node)
    now.move_to(NOON)
    drawn = data.draw(drawn_graphs())
    flow = flow_of(drawn.as_graph(), name=f"flow {data.draw(st.uuids())}")
    story = Story(flow, now)

    def less_than(most: int) -> int:
        return data.draw(st.integers(0, most - 1))

    for what in data.draw(st.lists(st.sampled_from(HAPPENINGS), max_size=12)):
        story.happen(what, less_than)
        assert_all_sound()
    story.finish()

    check_order(drawn, story)
    assert ExecutionStep.objects.filter(instance_id=story.id, status__in=("running", "waiting")).count() == 0
    assert_all_sound()


def test_a_join_that_waited_for_a_join_is_released_with_it(flow_of: Callable[..., Flow], now: FakeClock) -> None:
    registry.register(Plain)
    drawn = Drawn(
        kinds=["plain", "wait", "plain", "plain"],
        joins=["any", "all", "all", "all", "all"],
        truths=[True] * 4,
        targets=[[1, 3, 4], [2], [3, 4], [4]],
        others=[1, 2, 3, 4],
    )
    story = Story(flow_of(drawn.as_graph()), now)

    story.finish()

    check_order(drawn, story)
    assert_all_sound()
