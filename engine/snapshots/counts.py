"""What this process did with snapshots since it began, for its metrics."""

from __future__ import annotations

from collections import Counter
from typing import Final

USED: Final = "used"
TAKEN: Final = "taken"
NOT_TAKEN: Final = "not_taken"

_counts: Counter[str] = Counter({USED: 0, TAKEN: 0, NOT_TAKEN: 0})


def count(what: str) -> None:
    """Count one."""
    _counts[what] += 1


def thrown_away(reason: str) -> None:
    """Count a snapshot that was wrong, by its reason."""
    _counts[f"thrown_away_{reason}"] += 1


def so_far() -> dict[str, int]:
    """Give every count."""
    return dict(_counts)
