"""What of the engine waits for somebody, on the operators' front page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from engine import clock
from engine.models import Activity, FlowSchedule, ProjectionCheckpoint, SagaRun
from engine.models.activity import ActivityStatus
from engine.workflow_state import WorkflowState
from flows.models import FlowInstance
from flows.models.instance import InstanceStatus
from tenants.admin_troubles import CAP, Trouble, add_trouble, newest

# A run that has failed stays so; older ones are no news.
NEWS = timedelta(days=1)
FAILED = (InstanceStatus.FAILED, InstanceStatus.COMPENSATION_FAILED)


def _parked() -> list[Any]:
    return newest("activities", ActivityStatus.PARKED)


def _failed() -> list[Any]:
    return newest("flow_instances", *FAILED, since=clock.now() - NEWS, at="updated_at")


def _stopped() -> list[Any]:
    stopped = ProjectionCheckpoint.objects.filter(status=ProjectionCheckpoint.Status.FAILED)
    return list(stopped.values_list("pk", flat=True)[:CAP])


def _stuck() -> list[Any]:
    return newest("saga_runs", WorkflowState.FAILED)


def _refused() -> list[Any]:
    refused = FlowSchedule.objects.filter(enabled=True, last_result__has_key="error")
    return list(refused.values_list("pk", flat=True)[:CAP])


add_trouble(
    Trouble(
        Activity,
        _parked,
        "side effect is parked: its run waits",
        "side effects are parked: their runs wait",
        "Mend the cause, then retry them; or complete or fail them by hand.",
        f"status__exact={ActivityStatus.PARKED}",
    )
)
add_trouble(
    Trouble(
        FlowInstance,
        _failed,
        "run has failed within a day",
        "runs have failed within a day",
        "Mend the cause, then retry them from the node that failed, or roll them back.",
        f"status__in={','.join(FAILED)}",
    )
)
add_trouble(
    Trouble(
        SagaRun,
        _stuck,
        "saga could not undo what it did",
        "sagas could not undo what they did",
        "Mend the cause, then resume them.",
        f"status__exact={WorkflowState.FAILED}",
    )
)
add_trouble(
    Trouble(
        ProjectionCheckpoint,
        _stopped,
        "projection has stopped at an event",
        "projections have stopped at an event",
        "Retry, or skip the event with a reason; its read model is behind until then.",
        f"status__exact={ProjectionCheckpoint.Status.FAILED}",
    )
)
add_trouble(
    Trouble(
        FlowSchedule,
        _refused,
        "schedule could not start anything the last time",
        "schedules could not start anything the last time",
        "What was wrong stands below “last result”.",
        "enabled__exact=1",
    )
)
