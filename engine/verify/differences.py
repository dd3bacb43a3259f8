"""What is told of what was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """
    What does not agree about one aggregate.

    `field` is a column, or `gap`, `illegal_event`, `order`, `no_events`, `no_row`, `snapshot`; `row` (or the snapshot)
    and `events` are what each of the two says.
    """

    aggregate_type: str
    aggregate_id: str
    field: str
    detail: str
    row: Any = None
    events: Any = None


@dataclass(frozen=True, slots=True)
class Checked:
    """
    A part of all: how many aggregates of each type were rebuilt, how many with a snapshot, and what was found.

    `unknown` counts those of types that this process has no fold of; they are left out.
    """

    rebuilt: Mapping[str, int] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)
    snapshots: int = 0
    differences: Sequence[Difference] = ()

    @property
    def count(self) -> int:
        """How many aggregates were rebuilt."""
        return sum(self.rebuilt.values())
