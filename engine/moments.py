"""Moments as JSON carries them."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache


@lru_cache(maxsize=1024)
def iso(moment: datetime) -> str:
    """Give a UTC moment in ISO 8601 with a Z."""
    text = moment.isoformat()
    return text[:-6] + "Z" if text.endswith("+00:00") else text
