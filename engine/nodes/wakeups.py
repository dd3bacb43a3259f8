"""What can wake a waiting token."""

from dataclasses import dataclass
from datetime import datetime

from engine.nodes.outcomes import JSON


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The wait's time has come."""


@dataclass(frozen=True, slots=True)
class EventArrived:
    """A matching event came first."""

    event_id: str
    event_type: str
    data: JSON
    occurred_at: datetime


Wakeup = TimerFired | EventArrived
