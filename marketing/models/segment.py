"""Groups of customers: by a rule, or by hand."""

from typing import ClassVar

from django.db import models

from marketing.models.customer import Customer
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedManager
from tenants.models import Tenant


class Segment(models.Model):
    """
    A group of customers. `rule` is the language of docs/reference/segments.md.

    `reads` is what the rule looks at, so that a change re-evaluates only those it may concern:
    `{fields: [path], tags: bool, events: [type], times: bool}`.
    """

    class Type(models.TextChoices):
        """Who decides who is in it."""

        STATIC = "static"
        DYNAMIC = "dynamic"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    slug = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="")
    type = models.CharField(max_length=8, choices=Type, default=Type.DYNAMIC)
    rule = JSONField(null=True, blank=True)
    reads = JSONField(default=dict)
    member_count = models.PositiveBigIntegerField(default=0)
    evaluated_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["Segment"]] = TenantScopedManager()

    class Meta:
        db_table = "segments"
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("tenant", "slug"), name="segment_one_per_slug"),)

    def __str__(self) -> str:
        return self.slug


class SegmentMember(models.Model):
    """A customer who is in a segment now."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, db_index=False, related_name="members")
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="memberships")
    since = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["SegmentMember"]] = TenantScopedManager()

    class Meta:
        db_table = "segment_members"
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("segment", "customer"), name="segment_member_once"),)
        indexes = (models.Index(fields=("segment", "id"), name="segment_member_list"),)

    def __str__(self) -> str:
        return f"{self.customer_id} in {self.segment_id}"


class SegmentDue(models.Model):
    """
    A customer whose memberships have to be looked at again, since when, or (`due_at`) from when on.

    `reads` is what has changed: `{fields: [path], tags: bool, events: [type], depth}`; every segment that reads it is
    asked. With a segment, that one alone is asked: a window runs out then. Of these there is one per segment and
    customer; the one with no participant is the evaluation of the whole segment, and `reads.after` says how far it is.
    """

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    participant_id = models.CharField(max_length=255, blank=True)
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, db_index=False, null=True, related_name="+")
    reads = JSONField(default=dict)
    due_at = models.DateTimeField()

    objects: ClassVar[TenantScopedManager["SegmentDue"]] = TenantScopedManager()

    class Meta:
        db_table = "segment_due"
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("segment", "participant_id"),
                condition=models.Q(segment__isnull=False),
                name="segment_due_once",
            ),
        )
        indexes = (
            models.Index(fields=("due_at", "id"), name="segment_due_fetch"),
            models.Index(
                fields=("tenant", "participant_id"), condition=models.Q(segment__isnull=True), name="segment_due_of"
            ),
        )

    def __str__(self) -> str:
        return f"{self.participant_id} at {self.due_at}"
