"""Who owns everything else: tenants, the keys they call with, their secrets, and what was already answered."""

import zoneinfo

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now
from django.utils.timezone import now

from tenants.ids import uuid7
from tenants.managers import TenantScopedManager

DEFAULT_TENANT = "default"


def check_zone(name: str) -> None:
    """Refuse what is not an IANA time zone."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError("%(name)s is not an IANA time zone, such as Europe/Berlin.", params={"name": name})


class Tenant(models.Model):
    """One customer of this installation: a world of its own."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=255)
    timezone = models.CharField(max_length=64, default="UTC", validators=[check_zone])
    created_at = models.DateTimeField(default=now, db_default=Now(), editable=False)

    class Meta:
        db_table = "tenants"
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=["name"], name="tenant_name_unique"),)

    def __str__(self) -> str:
        """The name."""
        return self.name


class Role(models.TextChoices):
    """What a key may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def allows(self, needed: "Role") -> bool:
        """Whether a key of this role may do what needs `needed`."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


class ApiKey(models.Model):
    """A key to the REST API. Only its SHA-256 is kept; the raw key is shown once, when it is issued."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=255, blank=True)
    prefix = models.CharField(max_length=16, editable=False)
    api_key_hash = models.CharField(max_length=64, editable=False)
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.EDITOR)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, db_default=Now(), editable=False)

    objects = TenantScopedManager["ApiKey"]()

    class Meta:
        db_table = "api_keys"
        ordering = ("-id",)
        verbose_name = "API key"
        constraints = (
            models.UniqueConstraint(fields=["api_key_hash"], name="api_key_hash_unique"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="api_key_role_known"),
        )

    def __str__(self) -> str:
        """What an operator recognises it by."""
        return f"{self.name or 'key'} ({self.prefix}…)"


class Secret(models.Model):
    """A value that flows and channels use by name, encrypted with ENCRYPTION_KEY; nobody can read it back."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="secrets")
    name = models.CharField(max_length=255)
    ciphertext = models.TextField(editable=False)
    created_at = models.DateTimeField(default=now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    objects = TenantScopedManager["Secret"]()

    class Meta:
        db_table = "secrets"
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["tenant", "name"], name="secret_name_unique"),)

    def __str__(self) -> str:
        """The name, never the value."""
        return self.name


class IdempotencyKey(models.Model):
    """The answer that was given to a POST, written in the transaction of the act and kept for 24 hours."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status_code = models.PositiveSmallIntegerField()
    body = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = TenantScopedManager["IdempotencyKey"]()

    class Meta:
        db_table = "idempotency_keys"
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=["tenant", "key"], name="idempotency_key_unique"),)
        indexes = (models.Index(fields=["created_at"], name="idempotency_key_prune"),)

    def __str__(self) -> str:
        """The key as the client sent it."""
        return self.key


class RateWindow(models.Model):
    """How many requests of one second are given out to web processes; unlogged: a crash of the database empties it."""

    pk = models.CompositePrimaryKey("tenant_id", "route", "second")
    tenant_id = models.UUIDField()
    route = models.CharField(max_length=64)
    second = models.BigIntegerField()
    taken = models.IntegerField()

    class Meta:
        db_table = "rate_windows"

    def __str__(self) -> str:
        """Route and second."""
        return f"{self.route}@{self.second}"
