"""A saga as a row: the lock, and the fold of its events."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from engine.workflow_state import WorkflowState
from flows.transitions import StatefulManager, StatefulModel, Transitions, status_constraint
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.models import Tenant


class SagaRun(StatefulModel):
    """
    One saga. `name` is the id that its people know, unique within the tenant; the aggregate of its events is `id`.

    `plan` is what was declared and never changes: a list, in the order of the steps, of `{name, after, action,
    compensation, args, kwargs, retry, timeout_s, pivot}` with callables as `module:name`, or null where they cannot be
    imported. `steps` is what became of each, in the same order; docs/reference/sagas.md has its keys. `lease_holder`
    and `lease_until` (wall time) belong to the process that runs it by itself; with `runs_in` workers its steps are
    activities and nobody holds it.
    """

    TRANSITIONS = Transitions(
        {
            WorkflowState.PENDING: {WorkflowState.RUNNING, WorkflowState.COMPENSATING},
            WorkflowState.RUNNING: {WorkflowState.COMPLETED, WorkflowState.COMPENSATING, WorkflowState.FAILED},
            WorkflowState.FAILED: {WorkflowState.COMPENSATING, WorkflowState.RUNNING},
            WorkflowState.COMPENSATING: {WorkflowState.COMPENSATED, WorkflowState.FAILED},
            WorkflowState.COMPLETED: set(),
            WorkflowState.COMPENSATED: set(),
        }
    )

    class RunsIn(models.TextChoices):
        """Who carries it on."""

        WORKERS = "workers"
        PROCESS = "process"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    name = models.CharField(max_length=255)
    definition = models.CharField(max_length=128, blank=True, default="")
    runs_in = models.CharField(max_length=8, choices=RunsIn)
    status = models.CharField(max_length=16, choices=WorkflowState, default=WorkflowState.PENDING)
    input = JSONField(default=dict)
    plan = JSONField(default=list)
    steps = JSONField(default=list)
    ending = JSONField(null=True, blank=True)
    error = JSONField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    sequence = models.PositiveBigIntegerField(default=0)
    runnable = models.BooleanField(default=False)
    deaths = models.PositiveSmallIntegerField(default=0)
    lease_holder = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    log_tx = models.BigIntegerField(default=0)

    objects: ClassVar[StatefulManager["SagaRun"]] = StatefulManager()

    class Meta:
        db_table = "saga_runs"
        ordering = ("-id",)
        verbose_name = "saga"
        constraints = (
            status_constraint("saga_state_known", WorkflowState.values),
            models.UniqueConstraint(fields=("tenant", "name"), name="saga_one_per_name"),
            models.CheckConstraint(
                name="saga_completed_at_iff_over",
                condition=Q(status__in=[WorkflowState.COMPLETED, WorkflowState.COMPENSATED], completed_at__isnull=False)
                | (~Q(status__in=[WorkflowState.COMPLETED, WorkflowState.COMPENSATED]) & Q(completed_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="saga_error_when_failed", condition=~Q(status=WorkflowState.FAILED) | Q(error__isnull=False)
            ),
            models.CheckConstraint(
                name="saga_lease_is_whole",
                condition=Q(lease_holder__isnull=True, lease_until__isnull=True)
                | Q(lease_holder__isnull=False, lease_until__isnull=False),
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "id"), condition=Q(runnable=True), name="saga_fetch_runnable"),
            models.Index(fields=("lease_until",), condition=Q(lease_until__isnull=False), name="saga_leases"),
            models.Index(
                fields=("deadline_at",),
                condition=Q(deadline_at__isnull=False, status__in=[WorkflowState.PENDING, WorkflowState.RUNNING]),
                name="saga_fetch_overdue",
            ),
            models.Index(fields=("tenant", "id"), name="saga_by_tenant"),
            models.Index(fields=("tenant", "status", "id"), name="saga_by_status"),
            models.Index(fields=("tenant", "definition", "status", "id"), name="saga_by_definition"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.status}"
