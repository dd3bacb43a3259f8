"""Who works on which instances right now."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from tenants.ids import uuid7


class BatchClaim(models.Model):
    """
    Names the instances of a batch before it runs; the batch's own transaction deletes it.

    The worker holds the session's advisory lock `worker_key` for its life, so a claim whose lock is free is a dead
    worker's.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    worker_key = models.BigIntegerField()
    worker = models.CharField(max_length=128)
    task_id = models.CharField(max_length=64, blank=True, default="")
    instance_ids = ArrayField(models.UUIDField())
    started_at = models.DateTimeField()

    class Meta:
        db_table = "batch_claims"

    def __str__(self) -> str:
        return self.worker
