"""The inbox: what the world said."""

from django.db import models
from django.db.models import Q

from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedQuerySet
from tenants.models import Tenant


class InboundEvent(models.Model):
    """
    An event about a participant: durable before the sender hears of it, routed once.

    `effects` says what it did: `[{"kind": "wait_resolved"|"started"|"exited"|"goal"|"refused", "instance_id"?,
    "flow_id"?, "node_id"?, "code"?}]`.
    `flow_id` and `entry_node` are set for a webhook, which starts that flow only.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    event_id = models.CharField(max_length=255)
    participant_id = models.CharField(max_length=255)
    event_type = models.CharField(max_length=255)
    data = JSONField(default=dict)
    occurred_at = models.DateTimeField()
    occurred_as_sent = models.DateTimeField(null=True, blank=True, help_text="Set where occurred_at was clamped.")
    received_at = models.DateTimeField()
    source = models.CharField(max_length=32, default="api")
    flow_id = models.UUIDField(null=True, blank=True)
    entry_node = models.CharField(max_length=64, blank=True, default="")
    causation_depth = models.PositiveSmallIntegerField(default=0)
    correlation_id = models.CharField(max_length=255, blank=True, default="")
    routed_at = models.DateTimeField(null=True, blank=True)
    effects = JSONField(default=list, blank=True)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        db_table = "inbound_events"
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("tenant", "event_id"), name="inbound_event_once"),)
        indexes = (
            # One for whoever looks for a tenant's oldest events, one for whoever looks for a participant's. While the
            # planner has only seen them empty, one seems as good as the other: a condition that is always true, and
            # that only its own statements name, keeps each from the other's.
            models.Index(
                fields=("tenant", "id"),
                condition=Q(routed_at__isnull=True) & ~Q(participant_id=""),
                name="inbound_fetch_unrouted",
            ),
            models.Index(
                fields=("participant_id", "tenant", "id"),
                condition=Q(routed_at__isnull=True) & ~Q(event_id=""),
                name="inbound_unrouted_of",
            ),
            models.Index(fields=("tenant", "participant_id", "event_type", "occurred_at"), name="inbound_lookback"),
        )

    def __str__(self) -> str:
        return f"{self.event_type} of {self.participant_id}"
