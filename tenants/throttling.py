"""Requests per second and tenant, exact over all processes and hosts, counted in PostgreSQL in blocks."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connection

from tenants.errors import RateLimited
from tenants.models import RateWindow

DEFAULT_LIMIT: Final = 2_000
KEEP_SECONDS: Final = 60
BLOCKS_PER_LIMIT: Final = 20
MAX_BUCKETS: Final = 10_000

# Adds a block to what was given out of this second, up to the limit; no row comes back when nothing is left. The table
# is unlogged, so the commit waits for no disk and `synchronous_commit` can stay as the session has it.
TAKE = """
INSERT INTO rate_windows AS w (tenant_id, route, second, taken) VALUES (%s, %s, %s, LEAST(%s, %s))
ON CONFLICT (tenant_id, route, second) DO UPDATE SET taken = LEAST(w.taken + %s, %s) WHERE w.taken < %s
RETURNING taken
"""


def parse_limits(text: str) -> dict[str, int]:
    """`default=2000,trigger=50` as a mapping of route to requests per second; 0 is no limit."""
    limits = {"default": DEFAULT_LIMIT}
    for part in filter(None, (part.strip() for part in text.split(","))):
        route, _, number = (piece.strip() for piece in part.partition("="))
        if not route or not number.isdecimal():
            raise ImproperlyConfigured(
                f"KALCIFER_RATE_LIMITS: {part!r} is not of the form route=requests_per_second, such as default=2000."
            )
        limits[route] = int(number)
    return limits


def configured() -> str:
    """The setting as it stands."""
    return str(getattr(settings, "KALCIFER_RATE_LIMITS", ""))


@lru_cache(maxsize=8)
def _parsed(text: str) -> Mapping[str, int]:
    return parse_limits(text)


def limit_of(route: str) -> tuple[str, int]:
    """The window that a route counts in, and its limit: its own when it has one, else the default's."""
    limits = _parsed(configured())
    return (route, limits[route]) if route in limits else ("default", limits["default"])


@dataclass(slots=True)
class Bucket:
    """What one process holds of one window in one second."""

    second: int = 0
    tokens: int = 0
    empty: bool = False
    lock: Any = field(default_factory=Lock)


_buckets: dict[tuple[UUID, str], Bucket] = {}


def spend(tenant_id: UUID, route: str = "default") -> None:
    """Use one request of this second; `RateLimited` when none is left. Lets all pass while the database is away."""
    route, limit = limit_of(route)
    if limit == 0:
        return
    bucket = _buckets.get((tenant_id, route)) or _new_bucket(tenant_id, route)
    with bucket.lock:
        second = int(time.time())
        if bucket.second != second:
            bucket.second, bucket.tokens, bucket.empty = second, 0, False
        if bucket.tokens == 0 and not bucket.empty:
            bucket.tokens = _take_block(tenant_id, route, second, limit)
            bucket.empty = bucket.tokens == 0
        if bucket.empty:
            raise RateLimited(f"More than {limit} requests in a second; send this again later.", retry_after=1)
        bucket.tokens -= 1


def _new_bucket(tenant_id: UUID, route: str) -> Bucket:
    if len(_buckets) >= MAX_BUCKETS:
        _buckets.clear()
    return _buckets.setdefault((tenant_id, route), Bucket())


def _take_block(tenant_id: UUID, route: str, second: int, limit: int) -> int:
    size = max(1, limit // BLOCKS_PER_LIMIT)
    try:
        with connection.cursor() as cursor:
            cursor.execute(TAKE, [tenant_id, route, second, size, limit, size, limit, limit])
            row = cursor.fetchone()
    except Error:
        return size
    if row is None:
        return 0
    # Every block but the last is whole, so what this one brought is what stands above the last multiple of its size.
    return int((row[0] - 1) % size + 1)


def prune() -> int:
    """Delete windows that are over; returns how many. For an hourly task."""
    deleted, _ = RateWindow.objects.filter(second__lt=int(time.time()) - KEEP_SECONDS).delete()
    return deleted


def forget() -> None:
    """Empty this process's hold on windows."""
    _buckets.clear()
