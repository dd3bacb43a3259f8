"""An act on many things, with its progress."""

from django.db import models

from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedQuerySet
from tenants.models import Tenant


class Job(models.Model):
    """A bulk act; its targets are frozen when it is asked for."""

    class Status(models.TextChoices):
        """Life of a job."""

        QUEUED = "queued"
        RUNNING = "running"
        CANCELLED = "cancelled"
        COMPLETED = "completed"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=32)
    action = models.CharField(max_length=32)
    params = JSONField(default=dict)
    actor = models.CharField(max_length=255, blank=True, default="")
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    matched = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    succeeded = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    errors = JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        db_table = "jobs"
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                name="job_done_is_sum", condition=models.Q(done=models.F("succeeded") + models.F("refused"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.action} {self.status}"


class JobTarget(models.Model):
    """One thing a job acts on; deleted when it has been dealt with."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="targets")
    target_id = models.UUIDField()

    class Meta:
        db_table = "job_targets"

    def __str__(self) -> str:
        return str(self.target_id)
