"""What a read model makes of the log: the base of every projection."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import ClassVar, Literal, Self

from engine.errors import NotRebuildable
from engine.event_store.events import Event


class Projection:
    """
    Builds a read model: `project` is given each event once, in the order of the log.

    It runs in the transaction that moves the projection's checkpoint, so that what it writes through Django's default
    connection is there exactly when its events count as read; effects elsewhere may happen again. The events of a
    batch are of every tenant. Without `types` (or `aggregate_types`) events of any are given.

    `starts = "head"` has it begin with what is appended after it was first run, instead of with the oldest event.

    A rebuild needs `clear`, which empties the read model. With `beside = True` the rows carry `self.build`, `clear`
    deletes those of `self.build` only, and a rebuild goes on beside the live rows until it has caught up with them;
    readers take the rows of `ProjectionManager.live_build(name)`. Otherwise the read model is emptied first, and fills
    up again.
    """

    name: str = ""
    types: Sequence[str] = ()
    aggregate_types: Sequence[str] = ()
    starts: Literal["beginning", "head"] = "beginning"
    beside: ClassVar[bool] = False
    # So many places of the log are read, and projected, in one transaction.
    batch: int = 1_000
    build: int = 1

    def project(self, events: Sequence[Event]) -> None:
        """Take note of the next events."""
        raise NotImplementedError

    def clear(self) -> None:
        """Empty the read model, or the rows of `self.build`."""
        raise NotRebuildable(f"{self.name} has no clear().")

    def of(self, build: int) -> Self:
        """Give the same projection, writing another build."""
        twin = copy(self)
        twin.build = build
        return twin
