"""A version of a flow: a graph that cannot change once it is published."""

from typing import ClassVar

from django.db import models

from flows.models.flow import Flow
from flows.transitions import StatefulManager, StatefulModel, Transitions, status_constraint
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedManager
from tenants.models import Tenant


class VersionStatus(models.TextChoices):
    """Life of a version."""

    DRAFT = "draft"
    PUBLISHED = "published"
    DEPRECATED = "deprecated"
    ROLLED_BACK = "rolled_back"


class FlowVersion(StatefulModel):
    """One graph of a flow, numbered from 1. Instances run on the version they started with until they are migrated."""

    TRANSITIONS = Transitions(
        {
            VersionStatus.DRAFT: {VersionStatus.PUBLISHED},
            VersionStatus.PUBLISHED: {VersionStatus.DEPRECATED, VersionStatus.ROLLED_BACK},
            VersionStatus.DEPRECATED: {VersionStatus.PUBLISHED},
            VersionStatus.ROLLED_BACK: {VersionStatus.PUBLISHED},
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=16, choices=VersionStatus, default=VersionStatus.DRAFT)
    graph = JSONField(default=dict)
    changelog = models.TextField(blank=True, default="")
    strategy = models.CharField(max_length=32, default="new_entries_only")
    rollout_percent = models.PositiveSmallIntegerField(null=True, blank=True)
    node_mapping = JSONField(default=dict, blank=True)
    removed_node_policy = JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)
    published_by = models.CharField(max_length=255, blank=True, default="")

    objects: ClassVar[StatefulManager["FlowVersion"]] = StatefulManager()

    class Meta:
        db_table = "flow_versions"
        ordering = ("flow", "-number")
        constraints = (
            status_constraint("version_status_known", VersionStatus.values),
            models.UniqueConstraint(fields=("flow", "number"), name="version_number_once_per_flow"),
            models.UniqueConstraint(
                fields=("flow",),
                condition=models.Q(status=VersionStatus.PUBLISHED),
                name="version_one_published_per_flow",
            ),
            models.CheckConstraint(
                name="version_published_at_unless_draft",
                condition=models.Q(status=VersionStatus.DRAFT) | models.Q(published_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        # Its name where the flow is at hand: this is no reason to ask for it.
        flow = self._state.fields_cache.get("flow")
        return f"{flow or self.flow_id} v{self.number}"


class FlowTrigger(models.Model):
    """
    What starts an active flow by itself: one row per trigger node of its published version.

    Rewritten by publishing; the router of events looks here, never into graphs.
    """

    class Kind(models.TextChoices):
        """What the key means."""

        EVENT = "event"
        SEGMENT = "segment"
        WEBHOOK = "webhook"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="triggers")
    version = models.ForeignKey(FlowVersion, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind)
    key = models.CharField(max_length=255)
    node_id = models.CharField(max_length=64)

    objects = TenantScopedManager["FlowTrigger"]()

    class Meta:
        db_table = "flow_triggers"
        constraints = (models.UniqueConstraint(fields=("flow", "node_id"), name="trigger_once_per_node"),)
        indexes = (models.Index(fields=("tenant", "kind", "key"), name="trigger_by_key"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
