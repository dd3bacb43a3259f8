"""Messages on their way, and what carries them."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from flows.transitions import StatefulManager, StatefulModel, Transitions, status_constraint
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedManager
from tenants.models import Tenant


class Channel(models.Model):
    """A provider that carries one channel's messages for a tenant; its credentials are kept encrypted."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    name = models.CharField(max_length=64)
    channel = models.CharField(max_length=16)
    provider = models.CharField(max_length=32)
    config = JSONField(default=dict)
    ciphertext = models.TextField(blank=True, default="")
    is_default = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    rate_per_second = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["Channel"]] = TenantScopedManager()

    class Meta:
        db_table = "channels"
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("tenant", "name"), name="channel_one_per_name"),
            models.UniqueConstraint(
                fields=("tenant", "channel"), condition=Q(is_default=True), name="channel_one_default"
            ),
        )
        indexes = (models.Index(fields=("tenant", "id"), name="channel_by_tenant"),)

    def __str__(self) -> str:
        return self.name


class ChannelGate(models.Model):
    """
    How much may go through a channel now, for all processes alike; times are of the wall.

    `tokens` is what was left of the rate at `refilled_at`. `failures` counts what failed in a row; `closed_until` is
    when the next try may be made, and `closings` how often in a row that was put off.
    """

    channel = models.OneToOneField(Channel, on_delete=models.CASCADE, primary_key=True, related_name="gate")
    tokens = models.FloatField(default=0)
    refilled_at = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)
    closings = models.PositiveSmallIntegerField(default=0)
    closed_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "channel_gates"

    def __str__(self) -> str:
        return str(self.channel_id)


class DeliveryStatus(models.TextChoices):
    """Life of a message."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Delivery(StatefulModel):
    """
    One message to one participant.

    `key` is the node run's idempotency key: however often a step is repeated, there is one message. `history` is
    `[{status, at, detail}]`. `counted_at` (engine time) is when a frequency cap counts it from; null frees the slot.
    `reserved_at` is when a cap had let it through; it comes before whatever was counted after that. `asks_again` has it
    ask those caps once more when it goes out, after everybody else's: its run had failed.
    `due_at` (engine time) is until when it rests; `claim` names the attempt that is handing it over; `awaited` says
    that its run waits for what becomes of it; `resend_of` is the message that an operator sent once more.
    """

    TRANSITIONS = Transitions(
        {
            DeliveryStatus.QUEUED: {
                DeliveryStatus.CLAIMED,
                DeliveryStatus.SKIPPED,
                DeliveryStatus.FAILED,
                DeliveryStatus.CANCELLED,
            },
            DeliveryStatus.CLAIMED: {
                DeliveryStatus.SENT,
                DeliveryStatus.SKIPPED,
                DeliveryStatus.FAILED,
                DeliveryStatus.CANCELLED,
            },
            DeliveryStatus.SENT: {
                DeliveryStatus.DELIVERED,
                DeliveryStatus.BOUNCED,
                DeliveryStatus.COMPLAINED,
                DeliveryStatus.FAILED,
                DeliveryStatus.UNKNOWN,
            },
            DeliveryStatus.DELIVERED: {DeliveryStatus.OPENED, DeliveryStatus.COMPLAINED},
            DeliveryStatus.OPENED: {DeliveryStatus.CLICKED, DeliveryStatus.COMPLAINED},
            DeliveryStatus.CLICKED: {DeliveryStatus.COMPLAINED},
            DeliveryStatus.BOUNCED: set(),
            DeliveryStatus.COMPLAINED: set(),
            DeliveryStatus.SKIPPED: set(),
            DeliveryStatus.FAILED: set(),
            DeliveryStatus.CANCELLED: set(),
            DeliveryStatus.UNKNOWN: set(),
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    flow_id = models.UUIDField(null=True, blank=True)
    instance_id = models.UUIDField(null=True, blank=True)
    node_id = models.CharField(max_length=64, blank=True, default="")
    key = models.CharField(max_length=255)
    participant_id = models.CharField(max_length=255)
    channel = models.CharField(max_length=16)
    provider = models.CharField(max_length=32, blank=True, default="")
    recipient = models.CharField(max_length=512, blank=True, default="")
    status = models.CharField(max_length=16, choices=DeliveryStatus, default=DeliveryStatus.QUEUED)
    reason = models.CharField(max_length=255, blank=True, default="")
    message_class = models.CharField(max_length=16, default="marketing")
    topic = models.CharField(max_length=64, blank=True, default="")
    template_id = models.CharField(max_length=64, blank=True, default="")
    template_version = models.PositiveIntegerField(null=True, blank=True)
    payload = JSONField(default=dict)
    rendered = JSONField(null=True, blank=True)
    provider_message_id = models.CharField(max_length=255, blank=True, default="")
    collapse_key = models.CharField(max_length=255, blank=True, default="")
    history = JSONField(default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    claim = models.CharField(max_length=64, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    awaited = models.BooleanField(default=False)
    resend_of = models.UUIDField(null=True, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)
    reserved_at = models.DateTimeField(null=True, blank=True)
    asks_again = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)
    dismissed_at = models.DateTimeField(null=True, blank=True)
    shown_until = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[StatefulManager["Delivery"]] = StatefulManager()

    class Meta:
        db_table = "deliveries"
        ordering = ("-id",)
        verbose_name_plural = "deliveries"
        constraints = (
            status_constraint("delivery_status_known", DeliveryStatus.values),
            models.UniqueConstraint(fields=("key",), name="delivery_once_per_key"),
        )
        indexes = (
            models.Index(fields=("tenant", "id"), name="delivery_by_tenant"),
            models.Index(fields=("tenant", "participant_id", "channel", "counted_at"), name="delivery_counted"),
            models.Index(fields=("instance_id", "node_id"), name="delivery_by_instance"),
            models.Index(fields=("tenant", "status", "id"), name="delivery_by_status"),
            models.Index(fields=("tenant", "channel", "status", "id"), name="delivery_by_channel"),
            models.Index(fields=("tenant", "participant_id", "id"), name="delivery_by_participant"),
            models.Index(fields=("tenant", "flow_id", "status", "id"), name="delivery_by_flow"),
            models.Index(fields=("due_at", "id"), condition=Q(due_at__isnull=False), name="delivery_fetch_due"),
            models.Index(
                fields=("tenant", "participant_id", "collapse_key"),
                condition=Q(status="queued") & ~Q(collapse_key=""),
                name="delivery_to_collapse",
            ),
            models.Index(
                fields=("tenant", "provider", "provider_message_id"),
                condition=~Q(provider_message_id=""),
                name="delivery_by_message",
            ),
            models.Index(
                fields=("tenant", "channel", "recipient"), condition=Q(status="bounced"), name="delivery_bounced"
            ),
        )

    def __str__(self) -> str:
        return f"{self.channel} to {self.participant_id} {self.status}"


class CapSlot(models.Model):
    """
    A send that the `frequency_cap` of this node has allowed and that has not been queued yet.

    `asks_again`: its run failed since and was retried, so that the message asks the cap once more when it goes out.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    flow_id = models.UUIDField()
    instance_id = models.UUIDField()
    node_id = models.CharField(max_length=64)
    participant_id = models.CharField(max_length=255)
    channel = models.CharField(max_length=16)
    reserved_at = models.DateTimeField()
    asks_again = models.BooleanField(default=False, db_default=False)

    objects: ClassVar[TenantScopedManager["CapSlot"]] = TenantScopedManager()

    class Meta:
        db_table = "cap_slots"
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("instance_id", "node_id"), name="cap_slot_one_per_node"),)
        indexes = (models.Index(fields=("tenant", "participant_id", "channel"), name="cap_slot_by_participant"),)

    def __str__(self) -> str:
        return f"{self.participant_id} {self.channel}"


class Conversion(models.Model):
    """
    A goal reached: once per run and name; `track_conversion` fills in what the goal event did not know.

    `attributed_to` is the message that it is put down to, `attributed_by` whether by a click on it or its being sent
    (`click`, `send`), or that the participant was kept out of the flow (`holdout`).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    flow_id = models.UUIDField()
    instance_id = models.UUIDField()
    version = models.PositiveIntegerField(default=0)
    participant_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    value = models.DecimalField(max_digits=18, decimal_places=4, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True, default="")
    variant = models.CharField(max_length=64, blank=True, default="")
    attributed_to = models.UUIDField(null=True, blank=True)
    attributed_by = models.CharField(max_length=8, blank=True, default="")
    metadata = JSONField(default=dict)
    at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["Conversion"]] = TenantScopedManager()

    class Meta:
        db_table = "conversions"
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("instance_id", "name"), name="conversion_once_per_run"),)
        indexes = (
            models.Index(fields=("tenant", "id"), name="conversion_by_tenant"),
            models.Index(fields=("tenant", "flow_id", "id"), name="conversion_list_of_flow"),
            models.Index(fields=("tenant", "flow_id", "at"), name="conversion_by_flow"),
            models.Index(fields=("tenant", "participant_id", "id"), name="conversion_of_participant"),
        )

    def __str__(self) -> str:
        return f"{self.participant_id} {self.name}"
