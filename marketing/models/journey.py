"""A flow with a purpose: for whom, when, towards what."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from engine.models import FlowSchedule, Job
from flows.models import Flow
from flows.transitions import StatefulManager, StatefulModel, Transitions, status_constraint
from marketing.models.segment import Segment
from tenants.fields import JSONField
from tenants.ids import uuid7
from tenants.managers import TenantScopedManager
from tenants.models import Tenant


class JourneyStatus(models.TextChoices):
    """Life of a journey."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class Journey(StatefulModel):
    """
    What marketers launch: a flow with an audience, a schedule and a goal.

    `audience` is `{segment: its slug or id}`. `goal` is what the launch will write into the graph, and null from then
    on: the graph's goal is the journey's. `schedule` lets the audience in again and again. A draft with `launch_at`
    (engine time) launches by itself; `launch_error` is `{at, code, detail}` of a launch that was refused then.
    """

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
    audience = JSONField(null=True, blank=True)
    schedule = models.OneToOneField(
        FlowSchedule, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    launch_at = models.DateTimeField(null=True, blank=True)
    include_existing = models.BooleanField(null=True, blank=True)
    launch_error = JSONField(null=True, blank=True, editable=False)
    tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    launched_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects: ClassVar[StatefulManager["Journey"]] = StatefulManager()

    class Meta:
        db_table = "journeys"
        ordering = ("-id",)
        constraints = (
            status_constraint("journey_status_known", JourneyStatus.values),
            models.CheckConstraint(
                name="journey_launches_from_draft",
                condition=models.Q(launch_at__isnull=True) | models.Q(status=JourneyStatus.DRAFT),
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "status", "id"), name="journey_by_status"),
            models.Index(fields=("tenant", "id"), name="journey_list"),
            GinIndex(fields=("tags",), name="journey_by_tag"),
            models.Index(
                fields=("launch_at",), condition=models.Q(launch_at__isnull=False), name="journey_fetch_launches"
            ),
        )

    def __str__(self) -> str:
        return self.name


class Intake(models.Model):
    """
    The members of a segment on their way into a flow, as far as the member `after`; deleted when all are in.

    Who became a member later than `at` (engine time) is not among them. Progress, errors and the right to stop it are
    those of its job.
    """

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, related_name="+")
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="+")
    journey = models.ForeignKey(Journey, on_delete=models.CASCADE, null=True, blank=True, related_name="intakes")
    segment = models.ForeignKey(Segment, on_delete=models.SET_NULL, null=True, related_name="+")
    entry_node = models.CharField(max_length=64)
    context = JSONField(default=dict)
    at = models.DateTimeField()
    after = models.UUIDField()
    per_minute = models.PositiveIntegerField(null=True, blank=True)

    objects: ClassVar[TenantScopedManager["Intake"]] = TenantScopedManager()

    class Meta:
        db_table = "journey_intakes"
        ordering = ("-job_id",)

    def __str__(self) -> str:
        return f"{self.segment_id} into {self.flow_id}"
