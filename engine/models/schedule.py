"""When a flow starts by the clock."""

from django.db import models
from django.db.models import Q

from flows.models import Flow
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedQuerySet
from tenants.models import Tenant


class FlowSchedule(models.Model):
    """
    Starts a flow by cron, interval or once, for listed participants or an audience.

    A due start is keyed by schedule and due time, so that two beats start it once. `next_at` is engine time.
    """

    class Kind(models.TextChoices):
        """How the next moment is found."""

        CRON = "cron"
        INTERVAL = "interval"
        ONCE = "once"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="schedules")
    kind = models.CharField(max_length=8, choices=Kind)
    cron = models.CharField(max_length=128, blank=True, default="")
    every = models.CharField(max_length=16, blank=True, default="", help_text="A duration: 30s 15m 12h 3d 2w.")
    at = models.DateTimeField(null=True, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    participants = JSONField(default=list, blank=True)
    audience = models.CharField(max_length=255, blank=True, default="")
    context = JSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField(null=True, blank=True)
    last_at = models.DateTimeField(null=True, blank=True)
    last_result = JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        db_table = "flow_schedules"
        ordering = ("-id",)
        indexes = (models.Index(fields=("next_at",), condition=Q(enabled=True), name="schedule_fetch_due"),)

    def __str__(self) -> str:
        return f"{self.kind} for {self.flow_id}"
