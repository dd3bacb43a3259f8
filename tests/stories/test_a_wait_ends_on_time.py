"""With no sweep at all, a wait ends on its second by its countdown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from engine import triggers
from flows.models import Flow, FlowInstance
from kalcifer.supervisor import Supervisor
from tests.support.graphs import ENTRY, graph
from tests.support.processes import wait_for
from tests.support.soundness import assert_all_sound

pytestmark = pytest.mark.processes

GRAPH: dict[str, tuple[Any, ...]] = {
    "entry": (*ENTRY, {None: "pause"}),
    "pause": ("wait", {"duration": "3s"}, {None: "done"}),
    "done": ("exit", {"reason": "through"}),
}


def test_by_its_countdown_alone(flow_of: Callable[..., Flow], workers: Callable[..., Supervisor]) -> None:
    workers("advance")
    flow = flow_of(graph(GRAPH))
    triggers.start_many(flow, [f"p{i}" for i in range(20)])

    completed = FlowInstance.objects.filter(status="completed")
    wait_for(lambda: completed.count() == 20, seconds=60, what="the waits to end")

    lengths = [each.completed_at - each.entered_at for each in completed]
    assert min(lengths) >= timedelta(seconds=3)
    assert max(lengths) < timedelta(seconds=8)
    assert_all_sound()
