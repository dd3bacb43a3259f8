"""What the processes tell each other about themselves."""

from django.db import models


class Heartbeat(models.Model):
    """When a worker or beat last showed that its loop turns; wall time."""

    name = models.CharField(max_length=255, primary_key=True)
    serves = models.CharField(max_length=255, help_text="the queues of a worker, or beat")
    at = models.DateTimeField()

    class Meta:
        db_table = "kalcifer_heartbeats"
        verbose_name = "heartbeat"

    def __str__(self) -> str:
        return self.name
