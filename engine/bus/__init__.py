"""The event bus: who is told what happened, after it is committed, each with retries of its own."""

from engine.bus.event_bus import EventBus, publish_to_process
from engine.bus.retry import Retry

__all__ = ["EventBus", "Retry", "publish_to_process"]
