"""What an installation may set for the engine, with its defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

from django.conf import settings
from django.core.signals import setting_changed


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """
    Settings `KALCIFER_<NAME>`; times are seconds.

    batch_size: instances per transaction. slice_s: how long a task works before it gives way. countdown_horizon_s: how
    near a timer must be
    to get its countdown. lease_s: how long an activity is held without a heartbeat. activity_threads: side effects at
    once per process.
    max_deaths: worker processes an instance may take along before it is quarantined. restart_grace_s: how long after a
    start of PostgreSQL no lease counts as run out. sandbox_processes: how many pieces of users' code compute at once
    per process, sandbox_s: how long each may. keep_days: how long what has ended is kept beside its events,
    keep_events_days: how long events of participants are; 0 is for ever.
    """

    batch_size: int = 500
    router_batch_size: int = 500
    slice_s: float = 2.0
    countdown_horizon_s: float = 60.0
    lease_s: float = 5.0
    restart_grace_s: float = 5.0
    activity_threads: int = 32
    max_deaths: int = 3
    clock_speed: float | None = None
    sweep_interval_s: float = 1.0
    sandbox_processes: int = 2
    sandbox_s: float = 2.0
    keep_days: float = 30.0
    keep_events_days: float = 0.0


@lru_cache(maxsize=1)
def engine_settings() -> EngineSettings:
    """Read the settings once per process; tests that override one are heard."""
    given = {
        field.name: getattr(settings, f"KALCIFER_{field.name.upper()}")
        for field in fields(EngineSettings)
        if hasattr(settings, f"KALCIFER_{field.name.upper()}")
    }
    return EngineSettings(**given)


def _forget(*, setting: str, **_kwargs: object) -> None:
    if setting.startswith("KALCIFER_"):
        engine_settings.cache_clear()


setting_changed.connect(_forget)
