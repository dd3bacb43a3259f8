"""One participant's passage through a flow."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from flows.models.flow import Flow
from flows.models.version import FlowVersion
from flows.transitions import StatefulManager, StatefulModel, Transitions, status_constraint
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedManager
from tenants.models import Tenant


class InstanceStatus(models.TextChoices):
    """Life of an instance."""

    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    EXITED = "exited"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation_failed"


LIVE = (InstanceStatus.RUNNING, InstanceStatus.WAITING, InstanceStatus.PAUSED, InstanceStatus.COMPENSATING)


class FlowInstance(StatefulModel):
    """
    The row every worker locks before it touches the passage it stands for.

    Its status moves along `TRANSITIONS` and nowhere else; the diagram is docs/reference/instance-lifecycle.md. The row
    is the output of `engine.execution.state.apply` over its events; `runnable`, `deaths`, `priority`, `log_tx` are
    operational.
    """

    TRANSITIONS = Transitions(
        {
            InstanceStatus.RUNNING: {
                InstanceStatus.WAITING,
                InstanceStatus.PAUSED,
                InstanceStatus.COMPLETED,
                InstanceStatus.FAILED,
                InstanceStatus.EXITED,
            },
            InstanceStatus.WAITING: {
                InstanceStatus.RUNNING,
                InstanceStatus.PAUSED,
                InstanceStatus.COMPLETED,
                InstanceStatus.FAILED,
                InstanceStatus.EXITED,
            },
            InstanceStatus.PAUSED: {InstanceStatus.RUNNING, InstanceStatus.WAITING, InstanceStatus.EXITED},
            InstanceStatus.COMPLETED: set(),
            InstanceStatus.FAILED: {InstanceStatus.RUNNING, InstanceStatus.COMPENSATING},
            InstanceStatus.EXITED: {InstanceStatus.COMPENSATING},
            InstanceStatus.COMPENSATING: {InstanceStatus.COMPENSATED, InstanceStatus.COMPENSATION_FAILED},
            InstanceStatus.COMPENSATED: set(),
            InstanceStatus.COMPENSATION_FAILED: {InstanceStatus.COMPENSATING},
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The version's foreign key stands for all three: a version has one flow, a flow one tenant, and each check costs at
    # every start.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    flow = models.ForeignKey(
        Flow, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="instances"
    )
    version = models.ForeignKey(FlowVersion, on_delete=models.PROTECT, db_index=False, related_name="instances")
    participant_id = models.CharField(max_length=255)
    correlation_key = models.CharField(max_length=255, blank=True, default="")
    live_key = models.CharField(max_length=255, blank=True, default="")
    status = models.CharField(max_length=24, choices=InstanceStatus, default=InstanceStatus.RUNNING)
    current_nodes = JSONField(default=list)
    context = JSONField(default=dict)
    step_count = models.PositiveIntegerField(default=0)
    entered_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)
    exited_at = models.DateTimeField(null=True, blank=True)
    exit_reason = models.TextField(blank=True, default="")
    error = JSONField(null=True, blank=True)
    # The plan of a roll-back and how far it has come; docs/reference/events.md has its keys.
    compensation = JSONField(null=True, blank=True)
    migrated_from_version = models.PositiveIntegerField(null=True, blank=True)
    migrated_at = models.DateTimeField(null=True, blank=True)
    sequence = models.PositiveBigIntegerField(default=0)
    priority = models.SmallIntegerField(default=0)
    runnable = models.BooleanField(default=False)
    deaths = models.PositiveSmallIntegerField(default=0)
    log_tx = models.BigIntegerField(default=0)

    objects: ClassVar[StatefulManager[FlowInstance]] = StatefulManager()

    class Meta:
        db_table = "flow_instances"
        ordering = ("-id",)
        constraints = (
            status_constraint("instance_status_known", InstanceStatus.values),
            models.UniqueConstraint(
                fields=("tenant", "flow", "participant_id", "live_key"),
                condition=Q(status__in=sorted(LIVE)),
                name="instance_one_live_per_key",
            ),
            models.CheckConstraint(
                name="instance_completed_at_iff_completed",
                condition=Q(status=InstanceStatus.COMPLETED, completed_at__isnull=False)
                | (~Q(status=InstanceStatus.COMPLETED) & Q(completed_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="instance_exited_at_when_exited",
                condition=~Q(status=InstanceStatus.EXITED) | Q(exited_at__isnull=False),
            ),
            models.CheckConstraint(
                name="instance_error_when_failed",
                condition=~Q(status=InstanceStatus.FAILED) | Q(error__isnull=False),
            ),
            models.CheckConstraint(
                name="instance_runnable_only_under_way",
                condition=Q(runnable=False) | Q(status__in=[InstanceStatus.RUNNING, InstanceStatus.WAITING]),
            ),
        )
        indexes = (
            models.Index(
                F("tenant"),
                F("priority").desc(),
                F("id"),
                condition=Q(runnable=True, deaths=0),
                name="instance_fetch_runnable",
            ),
            models.Index(fields=("id",), condition=Q(runnable=True, deaths__gt=0), name="instance_fetch_suspect"),
            models.Index(fields=("tenant", "participant_id", "id"), name="instance_by_participant"),
            models.Index(
                fields=("tenant", "status", "entered_at", "id"), include=("version",), name="instance_by_status"
            ),
            models.Index(
                fields=("flow", "status", "entered_at", "id"), include=("version", "tenant"), name="instance_by_flow"
            ),
        )

    def __str__(self) -> str:
        return f"{self.participant_id} in {self.flow_id}"


class FlowEntry(models.Model):
    """How often and when last a participant entered a flow that limits it: the lock and the memory of re-entry."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="+")
    participant_id = models.CharField(max_length=255)
    count = models.PositiveIntegerField(default=1)
    last_entered_at = models.DateTimeField()

    objects = TenantScopedManager["FlowEntry"]()

    class Meta:
        db_table = "flow_entries"
        verbose_name_plural = "flow entries"
        constraints = (models.UniqueConstraint(fields=("flow", "participant_id"), name="entry_once_per_participant"),)

    def __str__(self) -> str:
        return f"{self.participant_id} entered {self.count}"
