"""What projections count of runs: rows that are only ever added to, one per thing that is counted."""

from typing import Any, ClassVar

from django.db import models

from tenants.managers import TenantScopedManager


class Counted(models.Model):
    """
    How often something happened in a version of a flow, on a day (UTC).

    `kind` says what, `key` what of it where there are several. Each build of the projection has rows of its own.
    """

    id = models.BigAutoField(primary_key=True)
    build = models.PositiveIntegerField()
    tenant_id = models.UUIDField()
    flow_id = models.UUIDField()
    version = models.PositiveIntegerField()
    day = models.DateField()
    node_id = models.CharField(max_length=64, blank=True, default="")
    kind = models.CharField(max_length=24)
    key = models.CharField(max_length=255, blank=True, default="")
    n = models.BigIntegerField()

    objects: ClassVar[TenantScopedManager[Any]] = TenantScopedManager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.day} {self.node_id} {self.kind} {self.key}: {self.n}"


KEY = ("flow_id", "build", "day", "version", "node_id", "kind", "key")


class FlowStatistic(Counted):
    """What happened to runs: `kind` is entered, completed, exited, failed and so on, the day that of the event."""

    class Meta:
        db_table = "flow_statistics"
        ordering = ("day", "version", "kind")
        constraints = (models.UniqueConstraint(fields=KEY, name="flow_statistic_counted_once"),)


class NodeStatistic(Counted):
    """
    What happened at nodes, on the day of the event: entered, completed, failed, a `branch` by its key.

    `took` counts completions by how long they took: the key is the number of a bucket of engine/analytics/durations.py.
    """

    class Meta:
        db_table = "node_statistics"
        ordering = ("day", "version", "node_id", "kind", "key")
        constraints = (models.UniqueConstraint(fields=KEY, name="node_statistic_counted_once"),)


class CohortStatistic(Counted):
    """
    How far runs came, on the day on which they entered: runs that entered, reached a node, converted (by goal).

    At the nodes that split participants: `variant` by its key, and `converted` by variant and goal.
    """

    goal = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        db_table = "cohort_statistics"
        ordering = ("day", "version", "node_id", "kind", "key", "goal")
        constraints = (models.UniqueConstraint(fields=(*KEY, "goal"), name="cohort_statistic_counted_once"),)
