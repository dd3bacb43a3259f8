"""What the bus tells the rest of the engine at start-up."""

from __future__ import annotations

from engine import activity_handlers, activity_owners
from engine.bus import deliveries, lanes


def connect() -> None:
    """Have deliveries done, and lanes told of them; may be called twice."""
    activity_handlers.register(deliveries.KIND, deliveries.deliver)
    activity_owners.register(deliveries.KIND, lanes.Owner())
