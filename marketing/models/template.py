"""What messages say."""

from typing import ClassVar

from django.db import models

from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedManager
from tenants.models import Tenant


class Template(models.Model):
    """A message by its slug (`template_id` in graphs); `version` is the number in use."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    slug = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    channel = models.CharField(max_length=16)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["Template"]] = TenantScopedManager()

    class Meta:
        db_table = "templates"
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("tenant", "slug"), name="template_one_per_slug"),)

    def __str__(self) -> str:
        return self.slug


class TemplateVersion(models.Model):
    """
    One wording of a template; never changed.

    `content` is Liquid by part (email: subject, html, text; the others: title, body …), `locales` the parts that
    differ, by locale.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    template = models.ForeignKey(Template, on_delete=models.CASCADE, db_index=False, related_name="versions")
    number = models.PositiveIntegerField()
    content = JSONField(default=dict)
    locales = JSONField(default=dict)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=255, blank=True, default="")

    objects: ClassVar[TenantScopedManager["TemplateVersion"]] = TenantScopedManager()

    class Meta:
        db_table = "template_versions"
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("template", "number"), name="template_version_once"),)

    def __str__(self) -> str:
        return f"{self.template_id} {self.number}"


class Link(models.Model):
    """An address that a message may hold by its slug, such as the page that confirms a consent."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    slug = models.CharField(max_length=64)
    url = models.CharField(max_length=2048)
    created_at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["Link"]] = TenantScopedManager()

    class Meta:
        db_table = "links"
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("tenant", "slug"), name="link_one_per_slug"),)

    def __str__(self) -> str:
        return self.slug


class CouponPool(models.Model):
    """Codes of which each may be given away once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    slug = models.CharField(max_length=64)
    name = models.CharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["CouponPool"]] = TenantScopedManager()

    class Meta:
        db_table = "coupon_pools"
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("tenant", "slug"), name="coupon_pool_one_per_slug"),)

    def __str__(self) -> str:
        return self.slug


class Coupon(models.Model):
    """One code; `key` is the message that has it, so that a repeated attempt gets the same one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    pool = models.ForeignKey(CouponPool, on_delete=models.CASCADE, db_index=False, related_name="coupons")
    code = models.CharField(max_length=255)
    key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001  # null: nobody has it
    participant_id = models.CharField(max_length=255, blank=True, default="")
    taken_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[TenantScopedManager["Coupon"]] = TenantScopedManager()

    class Meta:
        db_table = "coupons"
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("pool", "code"), name="coupon_code_once"),
            models.UniqueConstraint(fields=("pool", "key"), name="coupon_one_per_message"),
        )
        indexes = (
            models.Index(fields=("pool", "id"), condition=models.Q(key__isnull=True), name="coupon_free"),
            models.Index(fields=("tenant", "participant_id"), name="coupon_by_participant"),
        )

    def __str__(self) -> str:
        return self.code
