"""How far each projection has read, and what was skipped on the way."""

from django.db import models
from django.db.models import Q

from tenants.fields import JSONField
from tenants.ids import uuid7


class ProjectionCheckpoint(models.Model):
    """
    The place in the log up to which one build of a projection has been read; the lock of whoever reads on.

    A rebuild has a checkpoint and rows of its own, numbered `build`; the switch-over moves `is_live`. It is read as
    ordered by (`tx`, `position`), which is also the order of the log.
    """

    class Status(models.TextChoices):
        """Life of a build."""

        RUNNING = "running"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=128)
    build = models.PositiveIntegerField(default=1)
    is_live = models.BooleanField(default=True)
    status = models.CharField(max_length=8, choices=Status, default=Status.RUNNING)
    tx = models.BigIntegerField(default=0)
    position = models.BigIntegerField(default=0)
    count = models.BigIntegerField(default=0)
    last_event_id = models.UUIDField(null=True, blank=True)
    last_event_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    # Worker processes that died at the next place, and how many places are read one by one because of them.
    deaths = models.PositiveSmallIntegerField(default=0, db_default=0)
    suspects = models.PositiveIntegerField(default=0, db_default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    error = JSONField(null=True, blank=True)
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "projection_checkpoints"
        ordering = ("name", "-build")
        verbose_name = "projection"
        constraints = (
            models.UniqueConstraint(fields=("name", "build"), name="checkpoint_one_per_build"),
            models.UniqueConstraint(fields=("name",), condition=Q(is_live=True), name="checkpoint_one_live"),
            models.CheckConstraint(
                name="checkpoint_error_iff_failed",
                condition=Q(status="failed", error__isnull=False) | Q(status="running", error__isnull=True),
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.build}"


class ProjectionSkip(models.Model):
    """An event that an operator had a projection pass over: by whom, when and why."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=128)
    build = models.PositiveIntegerField()
    tx = models.BigIntegerField()
    position = models.BigIntegerField()
    event_id = models.UUIDField()
    error = JSONField(null=True, blank=True)
    reason = models.CharField(max_length=1000, blank=True, default="")
    actor = models.CharField(max_length=255)
    at = models.DateTimeField()

    class Meta:
        db_table = "projection_skips"
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.name} passed over {self.event_id}"
