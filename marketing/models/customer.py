"""A person that journeys are for."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedManager
from tenants.models import Tenant


class Customer(models.Model):
    """
    What is known of a participant, by the `external_id` that the tenant gave.

    `timezone` is a valid zone or empty: what was sent and is none stays in `properties`. `preferences` is
    `{channel: {topic: bool}}`. An anonymous profile that was merged names the one that goes on in `merged_into`.
    """

    class State(models.TextChoices):
        """Whether it is there, is being erased, or is only remembered as erased."""

        ACTIVE = "active"
        DELETING = "deleting"
        ERASED = "erased"
        MERGED = "merged"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    external_id = models.CharField(max_length=255)
    email = models.CharField(max_length=320, blank=True, default="")
    phone = models.CharField(max_length=32, blank=True, default="")
    name = models.CharField(max_length=255, blank=True, default="")
    timezone = models.CharField(max_length=64, blank=True, default="")
    locale = models.CharField(max_length=35, blank=True, default="")
    properties = JSONField(default=dict)
    tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    preferences = JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    merged_into = models.CharField(max_length=255, blank=True, default="")
    last_seen_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["Customer"]] = TenantScopedManager()

    class Meta:
        db_table = "customers"
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("tenant", "external_id"), name="customer_one_per_external_id"),
            models.CheckConstraint(
                name="customer_state_known",
                condition=models.Q(state__in=["active", "deleting", "erased", "merged"]),
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "id"), name="customer_by_tenant"),
            models.Index(fields=("tenant", "email"), condition=~models.Q(email=""), name="customer_by_email"),
            GinIndex(fields=("tags",), name="customer_by_tag"),
            models.Index(fields=("state", "id"), condition=~models.Q(state="active"), name="customer_by_state"),
            models.Index(
                fields=("tenant", "external_id"), condition=models.Q(state="merged"), name="customer_merged_away"
            ),
        )

    def __str__(self) -> str:
        return self.external_id


class PushToken(models.Model):
    """A device that a customer may be pushed to."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="push_tokens")
    token = models.CharField(max_length=512)
    platform = models.CharField(max_length=16, blank=True, default="")
    created_at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["PushToken"]] = TenantScopedManager()

    class Meta:
        db_table = "push_tokens"
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("tenant", "token"), name="push_token_once"),)

    def __str__(self) -> str:
        return f"{self.platform} {self.token[:12]}"
