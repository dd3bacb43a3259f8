"""The event bus: who is told what happened, after it is committed, each with retries of its own."""

from engine.bus.event_bus import EventBus, publish_to_process

__all__ = ["EventBus", "publish_to_process"]
