"""One run of one node."""

from typing import ClassVar

from django.db import models

from flows.models.instance import FlowInstance
from flows.transitions import StatefulManager, StatefulModel, Transitions, status_constraint
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.models import Tenant


class StepStatus(models.TextChoices):
    """Life of a step."""

    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class ExecutionStep(StatefulModel):
    """
    One row per node run; a waiting one is moved on when its wait ends, an operator's retry adds another.

    Written with its instance's row and never without, so it carries no foreign-key constraint (an eighth of the write
    path).
    """

    TRANSITIONS = Transitions(
        {
            StepStatus.RUNNING: {
                StepStatus.WAITING,
                StepStatus.COMPLETED,
                StepStatus.FAILED,
                StepStatus.SKIPPED,
                StepStatus.CANCELLED,
            },
            StepStatus.WAITING: {StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.CANCELLED},
            StepStatus.COMPLETED: set(),
            StepStatus.FAILED: set(),
            StepStatus.SKIPPED: set(),
            StepStatus.CANCELLED: set(),
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    instance = models.ForeignKey(
        FlowInstance, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="steps"
    )
    n = models.PositiveIntegerField()
    node_id = models.CharField(max_length=64)
    node_type = models.CharField(max_length=64)
    version = models.PositiveIntegerField()
    attempt = models.PositiveSmallIntegerField(default=1)
    status = models.CharField(max_length=16, choices=StepStatus, default=StepStatus.RUNNING)
    branch = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001  # null is "the only branch"
    input = JSONField(null=True, blank=True)
    output = JSONField(null=True, blank=True)
    error = JSONField(null=True, blank=True)
    started_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[StatefulManager["ExecutionStep"]] = StatefulManager()

    class Meta:
        db_table = "execution_steps"
        ordering = ("instance", "n")
        constraints = (
            status_constraint("step_status_known", StepStatus.values),
            models.UniqueConstraint(fields=("instance", "n"), name="step_once_per_place"),
        )

    def __str__(self) -> str:
        return f"{self.node_id} {self.status}"
