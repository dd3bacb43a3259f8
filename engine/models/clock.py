"""Where engine time stands."""

from django.db import models


class ClockAnchor(models.Model):
    """One row: engine time = engine_at + (wall time - real_at) * speed; a restart goes on from `seen_engine_at`."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    real_at = models.DateTimeField()
    engine_at = models.DateTimeField()
    speed = models.FloatField(default=1.0)
    seen_engine_at = models.DateTimeField()

    class Meta:
        db_table = "clock_anchor"
        constraints = (models.CheckConstraint(name="clock_one_row", condition=models.Q(id=1)),)

    def __str__(self) -> str:
        return f"{self.engine_at} * {self.speed}"
