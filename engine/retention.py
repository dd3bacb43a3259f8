"""What is forgotten, and when."""

from __future__ import annotations

from tenants import idempotency, throttling


def prune() -> None:
    """Delete answers of idempotent requests that are a day old, and counts of requests of seconds past."""
    idempotency.prune()
    throttling.prune()
