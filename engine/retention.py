"""What is forgotten, and when."""

from __future__ import annotations

from engine import clock
from engine.connections import execute
from tenants import idempotency, throttling

# A goal is watched beyond the run's end, but not beyond its window.
FORGET_GOALS = "DELETE FROM event_subscriptions WHERE kind = 'goal' AND until < %s"


def prune() -> None:
    """Delete day-old answers of idempotent requests, counts of requests past, and goals whose window is over."""
    idempotency.prune()
    throttling.prune()
    execute(FORGET_GOALS, [clock.now()])
