"""Any legal history: folded from its first event, or from a snapshot at any point, it gives the same run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.event_store.events import Event
from engine.execution import folding
from engine.execution.state import InstanceState, apply
from engine.moments import iso
from tests.engine.conftest import NOON

JSON = dict[str, Any]
STARTED = {
    "tenant_id": "t",
    "flow_id": "f",
    "version_id": "v",
    "version": 1,
    "participant_id": "ada",
    "correlation_key": "",
    "live_key": "",
    "entry_node": "n0",
    "entry_type": "event_entry",
    "entry_event": None,
}

texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=8)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(texts, values, max_size=3)


class Author:
    """Writes a history, choosing at each point among the events that may follow."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.state = InstanceState(id="i")
        self.events: list[Event] = []
        self.nodes = 0
        self.tell("flow_started", {**STARTED, "context": draw(objects)})

    def tell(self, kind: str, data: JSON) -> None:
        at = NOON + timedelta(seconds=len(self.events), microseconds=self.draw(st.integers(0, 999_999)))
        # As it comes from the log: nothing in it is anybody else's.
        event = Event(kind, orjson.loads(orjson.dumps(data)), len(self.events) + 1, at)
        apply(self.state, event)
        self.events.append(Event(kind, orjson.loads(orjson.dumps(data)), event.sequence, at))

    def go_on(self) -> None:
        kind, data = self.draw(st.sampled_from(self.possible()))
        self.tell(kind, data)

    def possible(self) -> list[tuple[str, JSON]]:
        match self.state.status:
            case "running" | "waiting":
                error = {"error": {"code": "c", "detail": "d", "node_id": None}}
                every = [
                    ("paused", {"reason": "r"}),
                    ("exited", {"reason": "x", "detail": "", "node": None}),
                    ("completed", {"reason": "done", "node": None}),
                    ("failed", error),
                    ("migrated", {"from_version": 1, "to_version": 2, "to_version_id": "w", "mapping": {}}),
                    ("goal_reached", {"name": "g", "event": None, "node": None}),
                ]
                # What ends it comes late, so that histories are long.
                ends = every if len(self.events) > 8 else every[4:]
                return [each for node in self.state.tokens for each in self.of_token(node)] + ends
            case "paused":
                return [("resumed", {"reason": ""}), ("exited", {"reason": "x", "detail": "", "node": None})]
            case "failed":
                node = next(iter(self.state.tokens), None)
                again = {"node": node, "type": "plain", "attempt": 2, "reason": ""}
                return [("retried", again), ("retried", {**again, "node": None}), self.undo()]
            case "exited" | "compensation_failed":
                return [self.undo()]
            case "compensating":
                return [*self.of_plan(), ("compensation_completed", {}), self.stuck()]
        return []

    def undo(self) -> tuple[str, JSON]:
        plan = [{"step": n, "node": f"n{n}", "type": "t", "by": "node", "config": self.draw(objects)} for n in (2, 1)]
        return "compensation_started", {"cause": {"by": "operator", "actor": "a", "reason": ""}, "plan": plan}

    def stuck(self) -> tuple[str, JSON]:
        return "compensation_failed", {"error": {"code": "c", "detail": "d"}, "left": ["n1"]}

    def of_plan(self) -> list[tuple[str, JSON]]:
        one = {"node": "n2", "activity": "a", "attempt": 1}
        return [
            ("compensation_scheduled", {"node": "n2", "activity": "a", "idempotency_key": "k"}),
            ("compensation_attempt_failed", {**one, "error": {"code": "c"}, "parked": self.draw(st.booleans())}),
            ("compensation_succeeded", {**one, "result": self.draw(objects)}),
        ]

    def of_token(self, node: str) -> list[tuple[str, JSON]]:
        token = self.state.tokens[node]
        if token["status"] == "waiting":
            return self.of_wait(node, token)
        if token["status"] != "running":
            return []
        begun = {"node": node, "type": "t", "step": 1, "attempt": 1}
        activity = {"node": node, "activity": "a", "kind": "node", "target": "t", "input": {}, "idempotency_key": "k"}
        wait = {"event_types": ["e"], "until": iso(NOON), "filter": None, "wait": self.draw(objects)}
        return [
            self.completed(node),
            ("node_started", begun),
            ("wait_started", {"node": node, **wait}),
            ("activity_scheduled", activity),
            ("node_failed", {**begun, "error": {"code": "c", "detail": "d"}}),
            ("token_joined", {"node": node, "from": "n0", "absorbed": self.draw(st.booleans())}),
        ]

    def of_wait(self, node: str, token: JSON) -> list[tuple[str, JSON]]:
        if token["activity"]:
            one = {"node": node, "activity": "a", "attempt": 1}
            failed = {"error": {"code": "c", "detail": "d"}, "final": self.draw(st.booleans()), "parked": False}
            outcome = {"result": self.draw(objects), "branch": None}
            return [("activity_completed", {**one, "outcome": outcome}), ("activity_failed", {**one, **failed})]
        event = {"event_id": "1", "event_type": "e", "data": self.draw(objects), "occurred_at": iso(NOON)}
        return [
            ("wait_resolved", {"node": node, "by": "event", "event": event}),
            ("wait_resolved", {"node": node, "by": "timer"}),
            ("wait_retimed", {"node": node, "until": iso(NOON + timedelta(days=1))}),
            ("entry_replaced", {"context": self.draw(objects), "node": node, "until": iso(NOON), "event_id": "2"}),
        ]

    def completed(self, node: str) -> tuple[str, JSON]:
        # Names whose order is not that in which they come.
        following = [f"{'ab'[n % 2]}{self.nodes + n}" for n in range(1, 1 + self.draw(st.integers(0, 2)))]
        self.nodes += len(following)
        return "node_completed", {
            "token": node,
            "node": node,
            "type": "t",
            "branch": self.draw(st.none() | texts),
            "result": self.draw(objects),
            "next": following,
            "next_types": ["plain"] * len(following),
            "step": 1,
            "started_at": iso(NOON),
        }


@st.composite
def histories(draw: Callable[[st.SearchStrategy[Any]], Any]) -> list[Event]:
    author = Author(draw)
    for _ in range(draw(st.integers(0, 25))):
        if author.possible():
            author.go_on()
    return author.events


def fold(state: InstanceState, events: list[Event]) -> InstanceState:
    for each in events:
        # As it comes from the log, for each fold anew.
        copied = orjson.loads(orjson.dumps(each.data))
        state = apply(state, Event(each.type, copied, each.sequence, each.at))
    return state


def through_the_table(state: InstanceState) -> InstanceState:
    """Keep a state as jsonb does, which has an order of names of its own."""
    return folding.load(orjson.loads(orjson.dumps(folding.dump(state), option=orjson.OPT_SORT_KEYS)))


def assert_same(one: InstanceState, other: InstanceState) -> None:
    assert one == other
    # The order of tokens counts, as it does in the row.
    assert one.current_nodes == other.current_nodes
    assert one.context == other.context


@settings(max_examples=60, deadline=None)
@given(history=histories())
def test_a_snapshot_at_any_point_and_the_tail_are_the_whole(history: list[Event]) -> None:
    whole = fold(folding.initial("i"), history)

    for cut in range(len(history) + 1):
        restored = through_the_table(fold(folding.initial("i"), history[:cut]))
        assert_same(fold(restored, history[cut:]), whole)


@settings(max_examples=30, deadline=None)
@given(history=histories())
def test_a_state_comes_back_from_its_table_as_it_was(history: list[Event]) -> None:
    state = fold(folding.initial("i"), history)

    restored = through_the_table(state)

    assert_same(restored, state)
    assert restored.entered_at == history[0].at


@settings(max_examples=30, deadline=None)
@given(history=histories())
def test_what_is_folded_after_a_dump_does_not_reach_into_it(history: list[Event]) -> None:
    for cut in range(len(history)):
        state = fold(folding.initial("i"), history[:cut])
        restored = through_the_table(state)
        fold(state, history[cut:])
        assert_same(fold(restored, history[cut:]), fold(folding.initial("i"), history))
