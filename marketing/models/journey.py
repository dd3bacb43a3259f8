"""A flow with a purpose: for whom, when, towards what."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from flows.models import Flow
from flows.transitions import StatefulManager, StatefulModel, Transitions, status_constraint
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.models import Tenant


class JourneyStatus(models.TextChoices):
    """Life of a journey."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class Journey(StatefulModel):
    """What marketers launch. `audience` is `{segment}`; `schedule` is what `flow_schedules` keeps."""

    TRANSITIONS = Transitions(
        {
            JourneyStatus.DRAFT: {JourneyStatus.ACTIVE},
            JourneyStatus.ACTIVE: {JourneyStatus.PAUSED, JourneyStatus.ARCHIVED},
            JourneyStatus.PAUSED: {JourneyStatus.ACTIVE, JourneyStatus.ARCHIVED},
            JourneyStatus.ARCHIVED: set(),
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    flow = models.ForeignKey(Flow, on_delete=models.PROTECT, related_name="journeys")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="")
    status = models.CharField(max_length=8, choices=JourneyStatus, default=JourneyStatus.DRAFT)
    goal = JSONField(null=True, blank=True)
    schedule = JSONField(null=True, blank=True)
    audience = JSONField(null=True, blank=True)
    tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    launched_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects: ClassVar[StatefulManager["Journey"]] = StatefulManager()

    class Meta:
        db_table = "journeys"
        ordering = ("-id",)
        constraints = (status_constraint("journey_status_known", JourneyStatus.values),)
        indexes = (models.Index(fields=("tenant", "status", "id"), name="journey_by_status"),)

    def __str__(self) -> str:
        return self.name
