"""A fold of an aggregate's events, kept so that the next one need not begin at the first."""

from django.db import models

from tenants.fields import JSONField
from tenants.managers import TenantScopedQuerySet


class SnapshotQuerySet(TenantScopedQuerySet["Snapshot"]):
    """A cache of the log names its tenant as the log does, by a plain column."""

    tenant_path = "tenant_id"


class Snapshot(models.Model):
    """
    The newest snapshot of an aggregate: its state after the event `sequence`.

    Only ever a cache: `state_version` says which code folded it, `digest` is the database's own of the state and of
    what it is of, and whatever does not agree is thrown away and made anew from the log.
    """

    aggregate_id = models.UUIDField(primary_key=True)
    tenant_id = models.UUIDField()
    aggregate_type = models.CharField(max_length=32)
    sequence = models.PositiveBigIntegerField()
    state_version = models.PositiveIntegerField(default=1)
    state = JSONField(default=dict)
    digest = models.CharField(max_length=64)
    taken_at = models.DateTimeField()

    objects = SnapshotQuerySet.as_manager()

    class Meta:
        db_table = "snapshots"

    def __str__(self) -> str:
        return f"{self.aggregate_type} {self.aggregate_id} at {self.sequence}"
