"""A flow: the thing with a name that operators switch on and off."""

from typing import Any, ClassVar

from django.db import models

from flows import starting
from flows.transitions import StatefulManager, StatefulModel, Transitions, status_constraint
from tenants.ids import uuid7
from tenants.models import Tenant


class FlowStatus(models.TextChoices):
    """Life of a flow."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class Flow(StatefulModel):
    """
    A named process; what it does is in its versions.

    Archiving takes no more entries and lets the running instances finish.
    """

    TRANSITIONS = Transitions(
        {
            FlowStatus.DRAFT: {FlowStatus.ACTIVE},
            FlowStatus.ACTIVE: {FlowStatus.PAUSED, FlowStatus.ARCHIVED},
            FlowStatus.PAUSED: {FlowStatus.ACTIVE, FlowStatus.ARCHIVED},
            FlowStatus.ARCHIVED: set(),
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="")
    status = models.CharField(max_length=16, choices=FlowStatus, default=FlowStatus.DRAFT)
    active_version = models.ForeignKey(
        "flows.FlowVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    paused_at = models.DateTimeField(null=True, blank=True, help_text="Engine time of the last pause.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[StatefulManager["Flow"]] = StatefulManager()

    class Meta:
        db_table = "flows"
        ordering = ("-id",)
        constraints = (
            status_constraint("flow_status_known", FlowStatus.values),
            models.CheckConstraint(
                name="flow_paused_at_when_paused",
                condition=~models.Q(status=FlowStatus.PAUSED) | models.Q(paused_at__isnull=False),
            ),
            models.CheckConstraint(
                name="flow_active_has_version",
                condition=~models.Q(status=FlowStatus.ACTIVE) | models.Q(active_version__isnull=False),
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "id"), name="flow_list"),
            models.Index(fields=("tenant", "status", "id"), name="flow_list_by_status"),
        )

    def __str__(self) -> str:
        return self.name

    def start(self, participant_id: str, **options: Any) -> Any:
        """Start the flow for a participant (`context=`, `entry_node=`, `correlation_key=`); gives the instance."""
        return starting.start(self, participant_id, **options)
