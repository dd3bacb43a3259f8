"""Something that is to begin at a moment: a saga, a flow, a task."""

from django.db import models

from flows.transitions import StatefulModel, Transitions, status_constraint
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.models import Tenant


class ScheduledWork(StatefulModel):
    """
    What `WorkflowScheduler` has promised. The moment itself is a row of `timers` with the same id.

    `kind` saga: `{definition, saga_id, input}`; flow: `{flow_id, participant_id, context, entry_node}`; task:
    `{task, args, kwargs}` with an importable `module:name`, run as an activity. `result` names what came of it.
    """

    class Kind(models.TextChoices):
        """What is begun."""

        SAGA = "saga"
        FLOW = "flow"
        TASK = "task"

    class Status(models.TextChoices):
        """Life of a promise."""

        SCHEDULED = "scheduled"
        STARTED = "started"
        CANCELLED = "cancelled"
        FAILED = "failed"

    TRANSITIONS = Transitions(
        {
            Status.SCHEDULED: {Status.STARTED, Status.CANCELLED, Status.FAILED},
            Status.STARTED: set(),
            Status.CANCELLED: set(),
            Status.FAILED: set(),
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    kind = models.CharField(max_length=8, choices=Kind)
    payload = JSONField(default=dict)
    due_at = models.DateTimeField()
    status = models.CharField(max_length=16, choices=Status, default=Status.SCHEDULED)
    result = JSONField(null=True, blank=True)
    error = JSONField(null=True, blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "scheduled_work"
        ordering = ("-id",)
        verbose_name_plural = "scheduled work"
        constraints = (
            status_constraint("scheduled_work_status_known", ["scheduled", "started", "cancelled", "failed"]),
        )
        indexes = (
            models.Index(fields=("tenant", "status", "id"), name="scheduled_by_status"),
            models.Index(fields=("ended_at",), condition=models.Q(ended_at__isnull=False), name="scheduled_ended"),
        )

    def __str__(self) -> str:
        return f"{self.kind} at {self.due_at}"
