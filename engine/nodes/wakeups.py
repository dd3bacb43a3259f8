"""What can wake a waiting token."""

from dataclasses import dataclass
from datetime import datetime

from engine.moments import iso
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

    def facts(self) -> JSON:
        """What a result tells of the event: its data under `event`, the rest beside it."""
        return {
            "event": self.data,
            "event_type": self.event_type,
            "event_id": self.event_id,
            "occurred_at": iso(self.occurred_at),
        }


Wakeup = TimerFired | EventArrived
