"""The states of a saga."""

from django.db import models


class WorkflowState(models.TextChoices):
    """Life of a saga; FAILED means stuck: an operator, or another process, has to go on with it."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    COMPENSATING = "COMPENSATING"
    COMPENSATED = "COMPENSATED"
