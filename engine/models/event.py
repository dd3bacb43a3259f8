"""The log: what happened, in the order it happened."""

from django.db import models

from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedQuerySet


class StoredEventQuerySet(TenantScopedQuerySet["StoredEvent"]):
    """The log names its tenant by a plain column."""

    tenant_path = "tenant_id"


class StoredEvent(models.Model):
    """
    One event of one aggregate. Append-only: the database refuses UPDATE, DELETE and TRUNCATE.

    The global order is (tx, position); `tx` is the greater of the writer's transaction id and the `tx` of the
    aggregate's previous event,
    so that the order never contradicts an aggregate's own. The unique key (aggregate_id, sequence) is the optimistic
    lock.
    """

    position = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField(default=uuid7, editable=False)
    tenant_id = models.UUIDField()
    aggregate_type = models.CharField(max_length=32)
    aggregate_id = models.UUIDField()
    sequence = models.PositiveBigIntegerField()
    type = models.CharField(max_length=64)
    schema_version = models.PositiveSmallIntegerField(default=1, db_default=1)
    data = JSONField(default=dict)
    metadata = JSONField(default=dict)
    recorded_at = models.DateTimeField()
    tx = models.BigIntegerField()

    objects = StoredEventQuerySet.as_manager()

    class Meta:
        db_table = "stored_events"
        ordering = ("tx", "position")
        constraints = (models.UniqueConstraint(fields=("aggregate_id", "sequence"), name="event_one_per_sequence"),)
        indexes = (models.Index(fields=("tx", "position"), name="event_global_order"),)

    def __str__(self) -> str:
        return f"{self.sequence} {self.type}"
