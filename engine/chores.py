"""Work that layers above the engine have it do in the background: by a bell, by the sweep, and without the broker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine import bells
from engine.bells import Bell

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """
    One kind of work.

    `is_due` is one look at an index. `run` works until nothing is due or its slice (in seconds) is over, and tells
    whether it did anything; it is harmless when doubled.
    """

    name: str
    is_due: Callable[[], bool]
    run: Callable[[float], bool]


_known: dict[str, Chore] = {}


def register(chore: Chore) -> None:
    """Have a chore done from now on; one of the same name is replaced."""
    _known[chore.name] = chore


def ring_on_commit() -> None:
    """Say that there may be something to do, once the caller's transaction has committed."""
    bells.ring_on_commit(Bell.CHORES)


def is_due() -> bool:
    """Whether any chore waits."""
    return any(chore.is_due() for chore in _known.values())


def run(slice_s: float) -> bool:
    """Do what is due, each chore for a share of the slice; one that fails is logged and does not hold up the others."""
    until = time.monotonic() + slice_s
    did = False
    for place, chore in enumerate(tuple(_known.values())):
        share = max(0.1, until - time.monotonic()) / (len(_known) - place)
        try:
            did = chore.run(share) or did
        except Exception:
            logger.exception("chore.failed", extra={"chore": chore.name})
    return did
