"""What kills its worker process is quarantined after the third death, and takes nobody along."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from engine import triggers
from engine.models import Activity
from flows.models import Flow, FlowInstance
from kalcifer.supervisor import Supervisor
from tests.support.graphs import ENTRY, graph
from tests.support.processes import wait_for
from tests.support.soundness import assert_all_sound

pytestmark = pytest.mark.processes

OTHERS = 99


def flow_with(node_type: str) -> dict[str, Any]:
    nodes: dict[str, tuple[Any, ...]] = {
        "entry": (*ENTRY, {None: "node"}),
        "node": (node_type, {}, {None: "done"}),
        "done": ("exit", {"reason": "through"}),
    }
    return graph(nodes)


def statuses(flow: Flow) -> Counter[str]:
    return Counter(FlowInstance.objects.filter(flow=flow).values_list("status", flat=True))


def test_a_node_and_a_side_effect_that_kill_their_workers(
    flow_of: Callable[..., Flow], workers: Callable[..., Supervisor]
) -> None:
    inline = flow_of(flow_with("bomb"), name="inline")
    effect = flow_of(flow_with("bomb_effect"), name="effect")
    names = ["bomb", *(f"p{i}" for i in range(OTHERS))]
    for flow in (inline, effect):
        triggers.start_many(flow, names)

    workers("advance", "activities", "sweeper")

    wait_for(lambda: statuses(inline) == {"completed": OTHERS, "failed": 1}, seconds=60, what="the inline bomb's end")
    assert FlowInstance.objects.get(status="failed").error["code"] == "quarantined"
    wait_for(lambda: statuses(effect)["completed"] == OTHERS, seconds=60, what="the others of the effect")
    wait_for(lambda: Activity.objects.filter(status="parked").exists(), seconds=60, what="the effect to be parked")
    parked = Activity.objects.get(status="parked")
    assert parked.error["code"] == "quarantined"
    assert parked.attempts == 3
    assert_all_sound()
