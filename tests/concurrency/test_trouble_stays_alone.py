"""One participant's trouble stays its own: what raises, exits, or gives what cannot be stored fails alone."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from django.db import OperationalError
from pydantic import Field

from engine import activities, activity_worker, triggers
from engine.conf import engine_settings
from engine.execution import claim, loop
from engine.models import Activity
from engine.nodes import registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Node, NodeConfig, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Failed, Outcome
from flows.models import Flow, FlowInstance
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle
from tests.support.soundness import assert_all_sound


class Mine(Exception):
    """With a message that PostgreSQL cannot store."""


def raises(error: BaseException) -> Callable[[], Outcome]:
    def trip() -> Outcome:
        raise error

    return trip


def loops_for_ever() -> Outcome:
    return loops_for_ever()


def itself() -> dict[str, Any]:
    knot: dict[str, Any] = {}
    knot["knot"] = knot
    return knot


WAYS: dict[str, Callable[[], Any]] = {
    "nul": lambda: Completed({"bad": "nul \x00"}),
    "nul_in_a_key": lambda: Completed({"\x00": 1}),
    "surrogate": lambda: Completed({"bad": "\ud800"}),
    "object": lambda: Completed({"bad": object()}),
    "key_that_is_no_text": lambda: Completed({1: {2: 3}}),
    "too_deep": lambda: Completed(itself()),
    "number_too_large": lambda: Completed({"bad": 10**400}),
    "not_an_outcome": lambda: "done",
    "nothing": lambda: None,
    "raises": raises(RuntimeError("no")),
    "raises_nul": raises(Mine("nul \x00 and \ud800")),
    "recursion": loops_for_ever,
    "exits": lambda: sys.exit(3),
    "fails_with_nul": lambda: Failed("nul \x00"),
    "fails_with_surrogate": lambda: Failed("\ud800"),
    "fails_with_long_text": lambda: Failed("x" * 1_000_000),
}


class Poison(Node):
    """An inline node that does what its participant says."""

    type = "poison"
    runs_as = RunsAs.INLINE

    class Config(NodeConfig):
        """Nothing to say."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        way = WAYS.get(step.participant_id)
        return Completed({"ok": True}) if way is None else way()


class PoisonousEffect(Node):
    """The same as a side effect."""

    type = "poisonous_effect"
    calls: ClassVar[Counter[str]] = Counter()

    class Config(ActionConfig):
        """As every action."""

        note: str = Field("", description="Nothing.")

    def execute(self, config: Any, step: StepContext) -> Outcome:
        PoisonousEffect.calls[step.participant_id] += 1
        way = WAYS.get(step.participant_id)
        return Completed({"ok": True}) if way is None else way()


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """What is raised here cannot even be logged everywhere."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def poison() -> None:
    registry.register(Poison)
    registry.register(PoisonousEffect)
    PoisonousEffect.calls.clear()
    activity_worker._worker.clear()


def flow_with(flow_of: Callable[..., Flow], node_type: str, **config: Any) -> Flow:
    nodes: dict[str, tuple[Any, ...]] = {
        "entry": (*ENTRY, {None: "node"}),
        "node": (node_type, config, {None: "done"}),
        "done": ("exit", {"reason": "through"}),
    }
    return flow_of(graph(nodes))


def statuses() -> dict[str, str]:
    return dict(FlowInstance.objects.values_list("participant_id", "status"))


@pytest.mark.parametrize("way", sorted(WAYS))
def test_of_a_batch_of_a_hundred_the_ninety_nine_complete(flow_of: Callable[..., Flow], way: str) -> None:
    good = {f"p{i}" for i in range(99)}
    triggers.start_many(flow_with(flow_of, "poison"), sorted(good | {way}))

    run_until_idle()

    found = statuses()
    assert found.pop(way) == "failed"
    assert found == dict.fromkeys(good, "completed")
    assert FlowInstance.objects.get(participant_id=way).error["code"]
    assert_all_sound()


def test_side_effects_that_go_wrong_in_every_way_leave_the_others_alone(flow_of: Callable[..., Flow]) -> None:
    good = {f"p{i}" for i in range(40)}
    flow = flow_with(flow_of, "poisonous_effect", retry={"attempts": 1}, on_failure="fail")
    triggers.start_many(flow, sorted(good | set(WAYS)))
    run_until_idle()

    activity_worker.run(slice_s=20)
    run_until_idle()

    found = statuses()
    assert {name for name, status in found.items() if status == "completed"} == good
    assert {name for name, status in found.items() if status == "failed"} == set(WAYS)
    assert set(PoisonousEffect.calls.values()) == {1}
    assert_all_sound()


def test_outcomes_that_could_not_be_recorded_are_recorded_later_and_not_done_again(
    flow_of: Callable[..., Flow], monkeypatch: pytest.MonkeyPatch
) -> None:
    triggers.start_many(flow_with(flow_of, "poisonous_effect"), [f"p{i}" for i in range(20)])
    run_until_idle()
    original, failures = activities.record, iter([OperationalError("the server is starting up")])

    def record(*words: Any) -> None:
        for failure in failures:
            raise failure
        original(*words)

    monkeypatch.setattr(activities, "record", record)
    worker = activity_worker.ActivityWorker()
    # Whether it tells its caller or sees it through itself is its own business.
    with suppress(OperationalError):
        worker.run(slice_s=10)

    worker.run(slice_s=10)
    run_until_idle()

    assert set(Activity.objects.values_list("status", "attempts")) == {("completed", 1)}
    assert set(PoisonousEffect.calls.values()) == {1}
    assert set(statuses().values()) == {"completed"}


def test_who_was_claimed_by_a_dead_worker_is_not_starved_by_new_work(
    flow_of: Callable[..., Flow], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KALCIFER_BATCH_SIZE = 5
    assert engine_settings().batch_size == 5
    flow = flow_with(flow_of, "poison")
    suspect = triggers.start(flow, "suspect")
    FlowInstance.objects.filter(pk=suspect.pk).update(deaths=1)
    triggers.start_many(flow, [f"p{i}" for i in range(200)])
    order: list[str] = []
    original = claim.announcer.announce

    def announce(ids: list[str], **words: Any) -> str:
        order.extend(ids)
        return original(ids, **words)

    monkeypatch.setattr(claim.announcer, "announce", announce)
    loop.advance(slice_s=20)

    assert set(statuses().values()) == {"completed"}
    assert order.index(str(suspect.pk)) < 150
