"""Who computes now: a few at a time, and nobody takes all the places."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from engine.ports import Busy


class Seats:
    """So many places, of which one tenant has half at most: what one of them runs for long keeps no other waiting."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._each = max(1, most // 2)
        self._taken = Counter[str]()
        self._changed = threading.Condition()

    @contextmanager
    def one(self, whose: str, *, patience_s: float) -> Iterator[None]:
        """Have a place for the time of a block; Busy when there is none within so many seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free and self._taken[whose] < self._each, patience_s):
                raise Busy("every place in the sandbox is taken")
            self._free -= 1
            self._taken[whose] += 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._taken[whose] -= 1
                # Only those who hold places are remembered.
                self._taken += Counter()
                self._changed.notify_all()
