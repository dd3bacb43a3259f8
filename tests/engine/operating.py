"""Flows that wait, break and do things, for tests of what operators do to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from engine import clock
from engine.event_store.events import Event
from engine.execution import batch, rows, write
from engine.execution.state import InstanceState, apply
from engine.models import StoredEvent
from engine.nodes import registry
from engine.nodes.base import Category, EmptyConfig, Node, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Failed, Outcome
from flows.models import FlowInstance
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage
from tests.support.races import tried_at_once

BROKEN = {"is": True}
TROUBLE = {"code": "error", "detail": "refused"}


class Fragile(Node):
    """Fails for as long as the test says so."""

    type = "fragile"
    category = Category.ACTION
    runs_as = RunsAs.INLINE
    Config = EmptyConfig

    def execute(self, config: Any, step: StepContext) -> Outcome:
        return Failed("it broke", code="broken") if BROKEN["is"] else Completed({"mended": True})


class Effect(Node):
    """Something done outside."""

    type = "effect"

    def execute(self, config: Any, step: StepContext) -> Outcome:
        return Completed({})


@pytest.fixture(autouse=True)
def fragile(own_registry: None) -> None:
    BROKEN["is"] = True
    registry.register(Fragile)
    registry.register(Effect)


def waiting(duration: str = "3d") -> dict[str, Any]:
    return graph(
        {
            "entry": (*ENTRY, {None: "pause"}),
            "pause": ("wait", {"duration": duration}, {None: "done"}),
            "done": ("exit", {}),
        }
    )


def for_event(**config: Any) -> dict[str, Any]:
    ends = {"event_received": "done", "timed_out": "done"}
    return graph(
        {
            "entry": (*ENTRY, {None: "ear"}),
            "ear": ("wait_for_event", {"event_type": "clicked", "timeout": "2d"} | config, ends),
            "done": ("exit", {}),
        }
    )


def breaking_beside_waits() -> dict[str, Any]:
    return graph(
        {
            "entry": (*ENTRY, {None: ["pause", "ear", "first"]}),
            "pause": ("wait", {"duration": "3d"}, {None: "done"}),
            "ear": ("wait_for_event", {"event_type": "clicked"}, {"event_received": "done", "timed_out": "done"}),
            "first": ("wait", {"duration": "1d"}, {None: "fragile"}),
            "fragile": ("fragile", {}, {None: "done"}),
            "done": ("exit", {}),
        }
    )


def breaking() -> dict[str, Any]:
    return graph(
        {"entry": (*ENTRY, {None: "fragile"}), "fragile": ("fragile", {}, {None: "done"}), "done": ("exit", {})}
    )


def with_effect() -> dict[str, Any]:
    return graph({"entry": (*ENTRY, {None: "effect"}), "effect": ("effect", {}, {None: "done"}), "done": ("exit", {})})


def beside_effect() -> dict[str, Any]:
    return graph(
        {
            "entry": (*ENTRY, {None: ["effect", "first"]}),
            "effect": ("effect", {}, {None: "done"}),
            "first": ("wait", {"duration": "1d"}, {None: "fragile"}),
            "fragile": ("fragile", {}, {None: "done"}),
            "done": ("exit", {}),
        }
    )


def append(passage: Passage, kind: str, data: dict[str, Any]) -> None:
    """Append an event as the timers and the activities do."""
    with transaction.atomic():
        row = rows.lock([str(passage.id)])[str(passage.id)]
        burst = batch.open_burst(row, clock.now())
        if kind == "wait_resolved":
            burst.disarm(data["node"])
        burst.record(kind, data)
        write.batch([burst], metadata={})


def wake(passage: Passage, node: str) -> None:
    append(passage, "wait_resolved", {"node": node, "by": "timer"})


def in_parallel(*calls: Callable[[], Any]) -> list[Any]:
    return tried_at_once(calls)


def assert_sound(instance_id: Any) -> None:
    """The row is what its events say."""
    folded = InstanceState(id=str(instance_id))
    for each in StoredEvent.objects.filter(aggregate_id=instance_id).order_by("sequence"):
        apply(folded, Event(each.type, each.data, each.sequence, each.recorded_at))
    row = FlowInstance.objects.get(pk=instance_id)
    assert (folded.status, folded.sequence) == (row.status, row.sequence)
    assert (folded.current_nodes, folded.step_count) == (row.current_nodes, row.step_count)


# --- cancel ---
