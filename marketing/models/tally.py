"""What is counted of messages and conversions."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now

from tenants.managers import TenantScopedManager

KEY = ("tenant_id", "flow_id", "day", "version", "node_id", "subject", "kind", "key")


class Tally(models.Model):
    """
    How often something happened to messages or conversions of a day (UTC).

    Written by triggers on their tables alone, in the very transaction, whoever writes them: a row for what a statement
    changed, which nobody else ever waits for. What is loose is added to the totals in the background, and readers add
    up both. `subject` is a channel or a goal; see docs/reference/analytics.md for the kinds and their keys.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    flow_id = models.UUIDField()
    version = models.PositiveIntegerField()
    node_id = models.CharField(max_length=64)
    day = models.DateField()
    subject = models.CharField(max_length=255)
    kind = models.CharField(max_length=16)
    key = models.CharField(max_length=64)
    n = models.DecimalField(max_digits=30, decimal_places=4)
    is_total = models.BooleanField(default=False, db_default=False)
    made_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[TenantScopedManager[Any]] = TenantScopedManager()

    class Meta:
        db_table = "tallies"
        verbose_name_plural = "tallies"
        ordering = ("day", "subject", "kind", "key")
        constraints = (models.UniqueConstraint(fields=KEY, condition=models.Q(is_total=True), name="tally_one_total"),)
        indexes = (
            models.Index(fields=("tenant_id", "flow_id", "day"), name="tally_of_flow"),
            models.Index(fields=("tenant_id", "day"), name="tally_of_tenant"),
            models.Index(fields=("made_at",), condition=models.Q(is_total=False), name="tally_fetch_loose"),
        )

    def __str__(self) -> str:
        return f"{self.day} {self.subject} {self.kind} {self.key}: {self.n}"
