"""When a wait ends by itself."""

from django.db import models
from django.db.models import Q

from flows.models import FlowInstance
from tenants.ids import uuid7
from tenants.managers import TenantScopedQuerySet
from tenants.models import Tenant


class Timer(models.Model):
    """
    The moment (engine time) at which the token at node_id goes on.

    Without an instance it is the moment of the scheduled work of the same id. `held`: it came due while its flow was
    paused.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    instance = models.ForeignKey(
        FlowInstance,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="timers",
        null=True,
        blank=True,
    )
    node_id = models.CharField(max_length=64, blank=True, default="", db_default="")
    due_at = models.DateTimeField()
    held = models.BooleanField(default=False)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        db_table = "timers"
        constraints = (models.UniqueConstraint(fields=("instance", "node_id"), name="timer_once_per_token"),)
        indexes = (
            models.Index(
                fields=("due_at", "id"), condition=Q(held=False, instance__isnull=False), name="timer_fetch_due"
            ),
            models.Index(fields=("due_at", "id"), condition=Q(instance__isnull=True), name="timer_fetch_scheduled"),
        )

    def __str__(self) -> str:
        return f"{self.node_id} at {self.due_at}"
