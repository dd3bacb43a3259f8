"""What is forgotten, and when."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from engine import clock
from engine.conf import engine_settings
from engine.connections import execute
from tenants import idempotency, throttling

BATCH: Final = 1000
# What is left when the time is over is there an hour later.
SLICE_S: Final = 8.0

# A goal is watched beyond the run's end, but not beyond its window.
FORGET_GOALS = """
    DELETE FROM event_subscriptions WHERE id = ANY(ARRAY(
        SELECT id FROM event_subscriptions WHERE kind = 'goal' AND until < %(now)s LIMIT %(batch)s))
"""
# Calls of handlers and of scheduled tasks, and errands with messages, that have ended; what is parked waits for an
# operator.
FORGET_CALLS = """
    DELETE FROM activities WHERE id = ANY(ARRAY(
        SELECT id FROM activities
         WHERE kind IN ('delivery', 'task', 'send') AND status IN ('completed', 'failed', 'cancelled')
           AND completed_at < clock_timestamp() - %(age)s
         ORDER BY completed_at LIMIT %(batch)s))
"""
# What was promised and has ended, unless its call is still there.
FORGET_PROMISES = """
    DELETE FROM scheduled_work WHERE id = ANY(ARRAY(
        SELECT w.id FROM scheduled_work w
         WHERE w.ended_at < %(now)s - %(age)s
           AND NOT EXISTS (SELECT 1 FROM activities a WHERE a.id = (w.result ->> 'activity_id')::uuid)
         ORDER BY w.ended_at LIMIT %(batch)s))
"""
# Among the oldest, so that no index is needed: ids follow the order of arrival.
FORGET_EVENTS = """
    DELETE FROM inbound_events WHERE id = ANY(ARRAY(
        SELECT id FROM (SELECT id, routed_at, received_at FROM inbound_events ORDER BY id LIMIT %(batch)s) AS oldest
         WHERE routed_at IS NOT NULL AND received_at < %(now)s - %(age)s))
"""


# What layers above forget, likewise.
also: list[Callable[[], None]] = []


def prune() -> None:
    """
    Delete what nobody needs, in batches, until nothing is left or the time is over.

    Day-old answers of idempotent requests, counts of requests past, goals whose window is over, and what has ended
    longer ago than the settings keep it.
    """
    idempotency.prune()
    throttling.prune()
    for forget in also:
        forget()
    until = time.monotonic() + SLICE_S
    settings = engine_settings()
    _forget(FORGET_GOALS, 1.0, until)
    _forget(FORGET_CALLS, settings.keep_days, until)
    _forget(FORGET_PROMISES, settings.keep_days, until)
    _forget(FORGET_EVENTS, settings.keep_events_days, until)


def _forget(statement: str, days: float, until: float) -> None:
    if days <= 0:
        return
    given: dict[str, Any] = {"now": clock.now(), "age": timedelta(days=days), "batch": BATCH}
    while time.monotonic() < until and execute(statement, given).rowcount:
        pass
