"""Which instances have something to take up."""

from django.db import models

from tenants.managers import TenantScopedQuerySet


class WakeQuerySet(TenantScopedQuerySet["Wake"]):
    """Wakes name their tenant by a plain column."""

    tenant_path = "tenant_id"


class Wake(models.Model):
    """
    Says that a side effect of an instance has ended: the next batch looks at the instance and deletes this row.

    A row of its own, because that of an instance is wide and in many indexes. Operational: no event determines it.
    """

    pk = models.CompositePrimaryKey("tenant_id", "rank", "instance_id")
    tenant_id = models.UUIDField()
    # The instance's priority, negated: the lowest goes first.
    rank = models.SmallIntegerField()
    instance_id = models.UUIDField()

    objects = WakeQuerySet.as_manager()

    class Meta:
        db_table = "instance_wakes"

    def __str__(self) -> str:
        return str(self.instance_id)
