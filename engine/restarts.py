"""Leases after PostgreSQL was away: nobody could renew one, so none has run out before everybody could."""

from __future__ import annotations

from engine.conf import engine_settings
from engine.connections import one

IS_RECENT = "SELECT pg_postmaster_start_time() + %s * interval '1 second' > clock_timestamp()"


def is_recent() -> bool:
    """Tell whether PostgreSQL started so lately that who holds a lease may not have had the time to renew it."""
    return bool(one(IS_RECENT, [engine_settings().restart_grace_s]))
