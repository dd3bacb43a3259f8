"""What people want to hear, what they agreed to, and where nothing may be sent."""

from typing import ClassVar

from django.db import models

from flows.transitions import status_constraint
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedManager
from tenants.models import Tenant

CHANNELS = ("email", "sms", "push", "whatsapp", "in_app")


class Topic(models.Model):
    """Something that customers subscribe to; `opt_in`: silence means no."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    slug = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="")
    opt_in = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["Topic"]] = TenantScopedManager()

    class Meta:
        db_table = "topics"
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("tenant", "slug"), name="topic_one_per_slug"),)

    def __str__(self) -> str:
        return self.slug


class Consent(models.Model):
    """What a customer has said of a topic, as it stands; each change is a row of `consent_changes` too."""

    class Status(models.TextChoices):
        """What was said."""

        GRANTED = "granted"
        DENIED = "denied"
        EXPIRED = "expired"
        WITHDRAWN = "withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    participant_id = models.CharField(max_length=255)
    topic = models.CharField(max_length=64)
    status = models.CharField(max_length=16, choices=Status)
    source = models.CharField(max_length=255, blank=True, default="")
    at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["Consent"]] = TenantScopedManager()

    class Meta:
        db_table = "consents"
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("tenant", "participant_id", "topic"), name="consent_one_per_topic"),
            status_constraint("consent_status_known", ["granted", "denied", "expired", "withdrawn"]),
        )

    def __str__(self) -> str:
        return f"{self.participant_id} {self.topic} {self.status}"


class ConsentChange(models.Model):
    """The audit of consents and preferences: never changed; erasure replaces the person by a hash."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    participant_id = models.CharField(max_length=255)
    channel = models.CharField(max_length=16, blank=True, default="")
    topic = models.CharField(max_length=64, blank=True, default="")
    before = models.CharField(max_length=16, blank=True, default="")
    after = models.CharField(max_length=16, blank=True, default="")
    source = models.CharField(max_length=255, blank=True, default="")
    actor = models.CharField(max_length=255, blank=True, default="")
    at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["ConsentChange"]] = TenantScopedManager()

    class Meta:
        db_table = "consent_changes"
        ordering = ("-id",)
        indexes = (models.Index(fields=("tenant", "participant_id", "id"), name="consent_change_by_person"),)

    def __str__(self) -> str:
        return f"{self.participant_id} {self.topic} {self.after}"


class Suppression(models.Model):
    """An address that nothing is sent to; by the address, so that a corrected one is free."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    channel = models.CharField(max_length=16)
    address = models.CharField(max_length=512)
    reason = models.CharField(max_length=32)
    detail = JSONField(default=dict)
    created_at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["Suppression"]] = TenantScopedManager()

    class Meta:
        db_table = "suppressions"
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("tenant", "channel", "address"), name="suppression_once_per_address"),
        )
        indexes = (
            models.Index(fields=("tenant", "id"), name="suppression_by_tenant"),
            models.Index(fields=("tenant", "channel", "id"), name="suppression_by_channel"),
        )

    def __str__(self) -> str:
        return f"{self.channel} {self.address}"
