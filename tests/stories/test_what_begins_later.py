"""What was scheduled begins on its second by its countdown, by the sweep where that is lost, and once in any case."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from engine.models import Activity, SagaRun
from engine.models.scheduled_work import ScheduledWork
from engine.workflow_scheduler import WorkflowScheduler
from flows.models import Flow, FlowInstance
from kalcifer.supervisor import Supervisor
from tenants.models import Tenant
from tests.stories.test_everything_survives_a_kill import forget_every_doorbell, traced
from tests.support.graphs import chain
from tests.support.hostile import bookings
from tests.support.processes import wait_for
from tests.support.soundness import assert_all_sound

pytestmark = pytest.mark.processes

MANY = 150


@pytest.fixture
def later(tenant: Tenant) -> WorkflowScheduler:
    return WorkflowScheduler(tenant)


def in_state(state: str) -> int:
    return ScheduledWork.objects.filter(status=state).count()


def came_to(later: WorkflowScheduler, work: UUID) -> Any:
    return (later.get_sync(work)["result"] or {}).get("value")


def test_without_a_sweep_each_begins_by_its_countdown(
    flow_of: Callable[..., Flow], later: WorkflowScheduler, workers: Callable[..., Supervisor]
) -> None:
    workers("advance", "activities")
    flow = flow_of(chain(1))
    began = time.monotonic()

    task = later.schedule_task_sync(bookings.task, ["hello"], delay=2.0)
    later.schedule_flow_sync(flow, "ada", delay=2.0)
    later.schedule_saga_sync("nobody_knows_this", "order-1", delay=2.0)
    wait_for(lambda: in_state("started") == 2, seconds=60, what="both to begin")

    assert time.monotonic() - began > 1.9
    wait_for(lambda: came_to(later, task) == "hello", seconds=60, what="the task to be called")
    wait_for(lambda: FlowInstance.objects.filter(status="completed").exists(), seconds=60, what="the flow to run")
    assert (in_state("failed"), SagaRun.objects.count()) == (1, 0)


def test_the_sweep_finds_those_whose_countdown_is_lost(
    flow_of: Callable[..., Flow], later: WorkflowScheduler, workers: Callable[..., Supervisor]
) -> None:
    later.schedule_flow_sync(flow_of(chain(1)), "ada", delay=0.5)
    forget_every_doorbell()

    workers("advance", "sweeper")

    wait_for(lambda: FlowInstance.objects.filter(status="completed").exists(), seconds=30, what="the sweep")


def test_workers_are_killed_while_much_begins(
    flow_of: Callable[..., Flow], later: WorkflowScheduler, workers: Callable[..., Supervisor], trace: Path
) -> None:
    flow = flow_of(chain(1))
    running = workers("advance", "activities", "sweeper")
    tasks = []
    for n in range(MANY):
        tasks.append(later.schedule_task_sync(bookings.task, ["t"], delay=n / MANY))
        later.schedule_flow_sync(flow, f"p{n}", delay=n / MANY)

    wait_for(lambda: in_state("started") > MANY // 4, seconds=30, what="some to begin")
    running.kill("advance", "activities", "sweeper")
    forget_every_doorbell()

    completed = FlowInstance.objects.filter(status="completed")
    called = Activity.objects.filter(kind="task", status="completed")
    wait_for(lambda: completed.count() == called.count() == MANY, seconds=80, what="all to be over")
    assert in_state("started") == 2 * MANY
    assert (FlowInstance.objects.count(), Activity.objects.count()) == (MANY, MANY)
    assert set(traced(trace)) == {f"t:task:{work}" for work in tasks}
    assert_all_sound()
