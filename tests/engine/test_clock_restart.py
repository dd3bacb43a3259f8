"""Engine time over a restart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from engine import clock
from engine.inbox import publish_event
from tenants.models import Tenant

SEEN = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def fast_clock(tenant: Tenant) -> None:
    """A system that ran a day per second, was last noted at SEEN and has been off for a minute."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO clock_anchor (id, real_at, engine_at, speed, seen_engine_at) VALUES"
            " (1, clock_timestamp() - interval '60 s', %(seen)s, 86400, %(seen)s) ON CONFLICT (id) DO UPDATE SET"
            " real_at = EXCLUDED.real_at, engine_at = EXCLUDED.engine_at, speed = 86400, seen_engine_at = %(seen)s",
            {"seen": SEEN},
        )


@pytest.fixture
def thawed() -> Iterator[None]:
    """This process's clock as it begins; put back as it was."""
    before = clock._clock
    clock._clock = clock._Clock()
    yield
    clock._clock = before


def engine_at() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT engine_at FROM clock_anchor")
        found: datetime = cursor.fetchone()[0]
    return found


def test_a_restart_does_not_go_back_behind_what_was_recorded(fast_clock: None, tenant: Tenant) -> None:
    later = SEEN + timedelta(hours=7)
    with clock.frozen(later):
        publish_event("ada", "signed_up", tenant=tenant)

    clock.go_on_from_seen()

    assert engine_at() == later


def test_a_restart_at_another_speed_does_not_count_the_time_it_was_off(
    fast_clock: None, thawed: None, settings: Any
) -> None:
    settings.KALCIFER_CLOCK_SPEED = 1.0

    clock.go_on_from_seen()

    assert engine_at() - SEEN < timedelta(days=10)
