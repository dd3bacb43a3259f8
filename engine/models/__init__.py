"""How a flow runs, as rows."""

from engine.models.activity import Activity
from engine.models.claim import BatchClaim
from engine.models.clock import ClockAnchor
from engine.models.event import StoredEvent
from engine.models.inbound import InboundEvent
from engine.models.job import Job, JobTarget
from engine.models.projection import ProjectionCheckpoint, ProjectionSkip
from engine.models.saga import SagaRun
from engine.models.schedule import FlowSchedule
from engine.models.scheduled_work import ScheduledWork
from engine.models.snapshot import Snapshot
from engine.models.statistics import CohortStatistic, FlowStatistic, NodeStatistic
from engine.models.subscription import EventSubscription
from engine.models.timer import Timer
from engine.models.wake import Wake

__all__ = [
    "Activity",
    "BatchClaim",
    "ClockAnchor",
    "CohortStatistic",
    "EventSubscription",
    "FlowSchedule",
    "FlowStatistic",
    "InboundEvent",
    "Job",
    "JobTarget",
    "NodeStatistic",
    "ProjectionCheckpoint",
    "ProjectionSkip",
    "SagaRun",
    "ScheduledWork",
    "Snapshot",
    "StoredEvent",
    "Timer",
    "Wake",
]
