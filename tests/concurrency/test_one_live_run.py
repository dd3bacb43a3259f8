"""
At most one live run per flow and participant, however many start it at once; a start lives and dies with its caller's
transaction.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import transaction

from engine import triggers
from engine.errors import AlreadyInFlow, ReentryRefused
from engine.models import StoredEvent
from flows.models import Flow, FlowInstance
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle
from tests.support.races import at_once
from tests.support.soundness import assert_all_sound

THREADS = 16
REFUSALS = (AlreadyInFlow, ReentryRefused)


def waiting_flow(flow_of: Callable[..., Flow], **settings: object) -> Flow:
    nodes = {
        "entry": (*ENTRY, {None: "pause"}),
        "pause": ("wait", {"duration": "1d"}, {None: "done"}),
        "done": ("exit", {"reason": "through"}),
    }
    return flow_of(graph(nodes, **settings))


@pytest.mark.parametrize("settings", [{}, {"reentry": "once"}, {"reentry": "after_interval", "reentry_interval": "1d"}])
def test_sixteen_starts_of_one_participant_make_one_run(
    flow_of: Callable[..., Flow], settings: dict[str, object]
) -> None:
    flow = waiting_flow(flow_of, **settings)

    def start() -> object:
        try:
            return triggers.start(flow, "ada").pk
        except REFUSALS as refusal:
            return refusal

    answers = at_once([start] * THREADS)

    (instance,) = FlowInstance.objects.all()
    assert [each for each in answers if not isinstance(each, Exception)] == [instance.pk]
    assert StoredEvent.objects.count() == 1
    assert_all_sound()


def test_bulk_starts_in_any_order_neither_deadlock_nor_double(flow_of: Callable[..., Flow]) -> None:
    flow = waiting_flow(flow_of)
    names = [f"p{i}" for i in range(200)]

    answers = at_once([lambda order=order: triggers.start_many(flow, order) for order in (names, names[::-1]) * 4])

    assert sum(each.refusal is None for verdicts in answers for each in verdicts) == len(names)
    assert FlowInstance.objects.count() == len(names)


def test_a_correlation_key_is_one_run_each(flow_of: Callable[..., Flow]) -> None:
    flow = waiting_flow(flow_of, reentry="per_key", correlation_key="entry.order")

    def start(order: int) -> bool:
        try:
            triggers.start(flow, "ada", context={"order": f"o{order % 4}"})
        except AlreadyInFlow:
            return False
        return True

    assert sum(at_once([lambda i=i: start(i) for i in range(THREADS)])) == 4
    assert FlowInstance.objects.count() == 4


def test_a_start_that_is_rolled_back_leaves_nothing_and_blocks_nobody(flow_of: Callable[..., Flow]) -> None:
    flow = waiting_flow(flow_of)

    class ChangedMyMind(Exception):
        pass

    with pytest.raises(ChangedMyMind), transaction.atomic():
        triggers.start(flow, "ada")
        raise ChangedMyMind

    assert not FlowInstance.objects.exists()
    assert not StoredEvent.objects.exists()
    triggers.start(flow, "ada")
    run_until_idle()
    assert FlowInstance.objects.get().status == "waiting"
