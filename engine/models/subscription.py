"""Who listens for which inbound event."""

from django.db import models

from flows.models import FlowInstance
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedQuerySet
from tenants.models import Tenant


class EventSubscription(models.Model):
    """
    One instance listening for one event type of its participant.

    `wait` resolves the token at node_id; `exit` ends the run; `goal` watches beyond the run's end, until `until`.
    """

    class Kind(models.TextChoices):
        """What a match does."""

        WAIT = "wait"
        EXIT = "exit"
        GOAL = "goal"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    participant_id = models.CharField(max_length=255)
    event_type = models.CharField(max_length=255)
    kind = models.CharField(max_length=8, choices=Kind)
    instance = models.ForeignKey(
        FlowInstance, on_delete=models.DO_NOTHING, db_constraint=False, related_name="subscriptions"
    )
    node_id = models.CharField(max_length=64, blank=True, default="")
    filter = JSONField(null=True, blank=True)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        db_table = "event_subscriptions"
        indexes = (models.Index(fields=("tenant", "participant_id", "event_type"), name="subscription_by_participant"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.event_type}"
