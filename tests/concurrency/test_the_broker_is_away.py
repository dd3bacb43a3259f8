"""Without a broker work goes on at the sweep's pace, and nobody who starts anything waits for it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from engine import bells, event_router, sweeper, triggers
from engine.bells import Bell, Ringer
from engine.inbox import publish_event
from engine.nodes import registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Node
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Outcome
from flows.models import Flow, FlowInstance
from tenants.models import Tenant
from tests.engine.conftest import FakeClock
from tests.support.graphs import ENTRY, graph
from tests.support.processes import wait_for
from tests.support.soundness import assert_all_sound

RING = Ringer.ring


class Outside(Node):
    """A side effect."""

    type = "outside"

    class Config(ActionConfig):
        """As every action."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        return Completed({})


GRAPH: dict[str, tuple[Any, ...]] = {
    "entry": (*ENTRY, {None: "reply"}),
    "reply": (
        "wait_for_event",
        {"event_type": "replied", "timeout": "3d"},
        {"event_received": "pause", "timed_out": "done"},
    ),
    "pause": ("wait", {"duration": "1h"}, {None: "outside"}),
    "outside": ("outside", {}, {None: "done"}),
    "done": ("exit", {"reason": "through"}),
}


@pytest.fixture
def black_hole(monkeypatch: pytest.MonkeyPatch, rung: list[Any]) -> Any:
    """A broker that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        ringer = Ringer()
        monkeypatch.setattr(bells, "ringer", ringer)
        monkeypatch.setattr(sweeper, "ringer", ringer)
        with override_settings(REDIS_URL=f"redis://127.0.0.1:{server.getsockname()[1]}/0"):
            yield ringer


def test_a_ring_that_nobody_hears_costs_its_caller_next_to_nothing(black_hole: Ringer) -> None:
    began = time.monotonic()
    answers = [black_hole.ring(Bell.ADVANCE) for _ in range(1000)]

    assert not any(answers)
    assert black_hole.failures <= 1 + (time.monotonic() - began) / bells.SILENCE_S


def test_starts_and_events_are_accepted_and_the_sweep_does_all_of_it(
    black_hole: Ringer, flow_of: Callable[..., Flow], tenant: Tenant, now: FakeClock
) -> None:
    registry.register(Outside)
    flow = flow_of(graph(GRAPH))
    sweep = sweeper.Sweeper()
    names = [f"p{i}" for i in range(20)]

    began = time.monotonic()
    for name in names:
        triggers.start(flow, name)
    assert black_hole.failures <= 1 + (time.monotonic() - began) / bells.SILENCE_S
    sweep.round()
    for name in names:
        publish_event(name, "replied", tenant=tenant)
    sweep.round()
    assert not event_router.is_waiting()
    now.advance(hours=1)

    def done() -> bool:
        sweep.round()
        return FlowInstance.objects.filter(status="completed").count() == len(names)

    wait_for(done, seconds=60, what="the sweep to do it all")
    sweep._leadership.get()[0].close()
    assert_all_sound()
