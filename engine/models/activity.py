"""A side effect: recorded before it happens, and after."""

from django.db import models
from django.db.models import Q

from flows.transitions import StatefulModel, Transitions, status_constraint
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.models import Tenant


class ActivityStatus(models.TextChoices):
    """Life of an activity."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    PARKED = "parked"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Activity(StatefulModel):
    """
    Something done outside of PostgreSQL, at least once, always under the same idempotency key.

    `due_at` and `lease_until` are wall time. `kind` names the handler; for `node` the target is the node's type.
    `policy`: `{attempts, backoff_s, max_interval_s, timeout_s, non_retryable: [code], on_unknown: retry|park,
    on_failure}`.
    """

    TRANSITIONS = Transitions(
        {
            ActivityStatus.PENDING: {ActivityStatus.RUNNING, ActivityStatus.CANCELLED},
            ActivityStatus.RUNNING: {
                ActivityStatus.COMPLETED,
                ActivityStatus.PENDING,
                ActivityStatus.PARKED,
                ActivityStatus.FAILED,
                ActivityStatus.CANCELLED,
            },
            ActivityStatus.PARKED: {
                ActivityStatus.PENDING,
                ActivityStatus.COMPLETED,
                ActivityStatus.FAILED,
            },
            ActivityStatus.COMPLETED: set(),
            ActivityStatus.FAILED: set(),
            ActivityStatus.CANCELLED: set(),
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    flow_id = models.UUIDField(null=True, blank=True)
    instance_id = models.UUIDField(null=True, blank=True)
    saga_id = models.UUIDField(null=True, blank=True)
    node_id = models.CharField(max_length=64, blank=True, default="")
    # The lowest rank goes first: 0 for what is of a flow of usual priority, or of none.
    rank = models.SmallIntegerField(default=0, db_default=0)
    # Activities of one lane are done one after the other, in the order of their ids; those behind the first are held.
    lane = models.CharField(max_length=160, blank=True, default="", db_default="")
    kind = models.CharField(max_length=32)
    target = models.CharField(max_length=255)
    input = JSONField(default=dict)
    idempotency_key = models.CharField(max_length=255)
    policy = JSONField(default=dict)
    status = models.CharField(max_length=16, choices=ActivityStatus, default=ActivityStatus.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=128, blank=True, default="")
    held = models.BooleanField(default=False)
    deaths = models.PositiveSmallIntegerField(default=0)
    result = JSONField(null=True, blank=True)
    error = JSONField(null=True, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "activities"
        ordering = ("-id",)
        verbose_name_plural = "activities"
        constraints = (
            status_constraint("activity_status_known", ActivityStatus.values),
            models.UniqueConstraint(fields=("idempotency_key",), name="activity_once_per_key"),
            models.CheckConstraint(
                name="activity_lease_iff_running",
                condition=Q(status=ActivityStatus.RUNNING, lease_until__isnull=False)
                | (~Q(status=ActivityStatus.RUNNING) & Q(lease_until__isnull=True)),
            ),
        )
        indexes = (
            models.Index(
                fields=("tenant", "rank", "due_at", "id"),
                condition=Q(status=ActivityStatus.PENDING, held=False),
                name="activity_fetch_pending",
            ),
            models.Index(
                fields=("id",),
                condition=Q(status=ActivityStatus.PENDING, held=False, deaths__gt=0),
                name="activity_fetch_suspect",
            ),
            models.Index(fields=("id",), condition=Q(status=ActivityStatus.RUNNING), name="activity_running"),
            models.Index(fields=("tenant", "status", "id"), name="activity_by_status"),
            models.Index(fields=("instance_id",), name="activity_by_instance"),
            models.Index(fields=("flow_id",), condition=Q(held=True), name="activity_held_by_flow"),
            models.Index(fields=("saga_id",), condition=Q(saga_id__isnull=False), name="activity_by_saga"),
            models.Index(
                fields=("completed_at",),
                condition=Q(kind__in=["delivery", "task", "send"])
                & Q(status__in=[ActivityStatus.COMPLETED, ActivityStatus.FAILED, ActivityStatus.CANCELLED]),
                name="activity_ended_call",
            ),
            models.Index(
                fields=("lane", "id"),
                condition=~Q(lane="") & Q(status__in=[ActivityStatus.PENDING, ActivityStatus.RUNNING]),
                name="activity_by_lane",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.target} {self.status}"
