"""The days that a report is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

from engine import clock

DAYS: Final = 30
LONGEST_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days (UTC), the first and the last included."""

    first: date
    last: date

    @classmethod
    def of(cls, first: date | None = None, last: date | None = None) -> Self:
        """Give the days between two; without the first, as many as make DAYS, without the last, up to today."""
        last = last or clock.now().date()
        return cls(first or date.fromordinal(max(1, last.toordinal() - DAYS + 1)), last)

    def __len__(self) -> int:
        return max(0, (self.last - self.first).days + 1)

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=i) for i in range(len(self)))
