"""The batch's UPDATE obeys the table of transitions, for every pair of states, like every other way to write."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from django.db import transaction

from engine.connections import execute
from engine.execution import batch, rows, write
from engine.models import StoredEvent
from flows.models import Flow, FlowInstance
from flows.models.instance import InstanceStatus
from tests.support.graphs import chain
from tests.support.passage import Passage

STATES = sorted(each.value for each in InstanceStatus)
FORCE = """
    UPDATE flow_instances SET status = %s, runnable = false, error = '{}',
           completed_at = CASE WHEN %s = 'completed' THEN now() END, exited_at = CASE WHEN %s = 'exited' THEN now() END
     WHERE id = %s
"""


@pytest.fixture
def ada(flow_of: Callable[..., Flow]) -> Passage:
    return Passage(flow_of(chain(1)), "ada").start()


def write_batch(instance_id: Any, was: str, status: str) -> None:
    """Write what no event has: the guard of the statement alone stands between."""
    row = rows.lock([str(instance_id)])[str(instance_id)]
    burst = batch.open_burst(row, row.entered_at)
    burst.record("goal_reached", {"name": "g", "node": None, "event": None})
    burst.was, burst.state.status = was, status
    burst.state.error = {}
    burst.state.completed_at = burst.now if status == "completed" else None
    burst.state.exited_at = burst.now if status == "exited" else None
    write.batch([burst], metadata={})


def test_every_pair_of_states(ada: Passage) -> None:
    events = StoredEvent.objects.count()
    wrong = []
    for was, status in product(STATES, STATES):
        allowed = was == status or FlowInstance.TRANSITIONS.allows(was, status)
        try:
            with transaction.atomic():
                execute(FORCE, [was, was, was, ada.id])
                write_batch(ada.id, was, status)
                done = True
                transaction.set_rollback(True)
        except write.MovedElsewhere:
            done = False
        if done != allowed:
            wrong.append((was, status, done))
    assert wrong == []
    assert StoredEvent.objects.count() == events


def test_a_row_that_was_moved_meanwhile_is_not_moved_again(ada: Passage) -> None:
    with pytest.raises(write.MovedElsewhere), transaction.atomic():
        write_batch(ada.id, "running", "waiting")
