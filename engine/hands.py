"""Threads that call what they are given: any number of calls waits for them, and one owner is told what has ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from django.db import connections

from engine import activity_handlers, patience, values
from engine.connections import is_fresh
from engine.leases import Lease
from engine.nodes.outcomes import Failed, Outcome
from engine.ports import Busy

logger = logging.getLogger(__name__)

# So long a thread that has nothing to do holds the connection that a call has left to the next one.
LINGER_S = 1.0


class Hold:
    """A leased activity on its way through the hands; begun or taken back, whichever is first."""

    __slots__ = ("_permit", "call", "lease", "outcome", "since")

    def __init__(self, lease: Lease, call: Callable[[], Outcome], since: float) -> None:
        self.lease, self.call, self.since = lease, call, since
        # Whatever it answered; whether that is an outcome is for others to judge.
        self.outcome: Any = None
        self._permit = [True]

    def claim(self) -> bool:
        """Whether the caller is the first who wants it: the thread that would begin it, or whoever takes it back."""
        try:
            # One step of the interpreter: of two threads, one gets it.
            return self._permit.pop()
        except IndexError:
            return False


class Hands:
    """
    A pool of threads, started as they are needed; they end with the process, or when they are let go.

    Leaner than the library's executor, whose futures cost more than a quick call does.
    """

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._threads: list[threading.Thread] = []
        self._todo: SimpleQueue[Hold | None] = SimpleQueue()
        self._done: SimpleQueue[Hold | None] = SimpleQueue()

    def give(self, holds: Sequence[Hold], *, busy: int) -> None:
        """Have these called; `busy` is how many there are with those given before."""
        for hold in holds:
            self._todo.put(hold)
        for _ in range(min(busy, self._most) - len(self._threads)):
            thread = threading.Thread(target=_work, args=(self._todo, self._done), name="activity", daemon=True)
            self._threads.append(thread)
            thread.start()

    def nudge(self) -> None:
        """Have whoever waits look up."""
        self._done.put(None)

    def collect(self, *, expected: int, within_s: float, grace_s: float) -> list[Hold]:
        """
        Wait for one to end, or a nudge; give it, and what ends within a moment more, so that it is recorded together.

        Returns early once as many as are expected have ended.
        """
        ended: list[Hold] = []
        until = time.monotonic() + within_s
        nudged = False
        while len(ended) < expected:
            try:
                hold = self._done.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                break
            if hold is None:
                nudged = True
            else:
                ended.append(hold)
            if len(ended) == 1 or (nudged and not ended):
                until = min(until, time.monotonic() + grace_s)
        return ended

    def widen(self, threads: int) -> None:
        """Have so many threads more, or fewer: one that will not come back for long needs another in its place."""
        self._most += threads

    def replaced(self, threads: int) -> Hands:
        """Let these go, and give others in their place; what still runs on these is collected there."""
        others = Hands(threads)
        others._done = self._done
        self.let_go()
        return others

    def let_go(self) -> None:
        """End the threads as they become free."""
        for _ in self._threads:
            self._todo.put(None)


def _work(todo: SimpleQueue[Hold | None], done: SimpleQueue[Hold | None]) -> None:
    while (hold := _next(todo)) is not None:
        if hold.claim():
            hold.outcome = _guarded(hold)
            done.put(hold)
        # What it holds shall not outlive it until the next call comes.
        del hold
    connections.close_all()


def _next(todo: SimpleQueue[Hold | None]) -> Hold | None:
    if any(connection.connection is not None for connection in connections.all(initialized_only=True)):
        try:
            return todo.get(timeout=LINGER_S)
        except Empty:
            connections.close_all()
    return todo.get()


# Whatever a handler raises is its own activity's failure, also sys.exit(). Connections it opened are closed with it,
# for threads have no request to end; one that is left as it was found serves the next call that leaves it so.
def _guarded(hold: Hold) -> Outcome | Busy:
    tidy = hold.lease.kind in activity_handlers.tidy
    keep = False
    try:
        _close_unless(keep=tidy)
        outcome = hold.call()
        keep = tidy
    except Busy as busy:
        return busy
    except BaseException as error:  # nobody else is there to be told
        logger.exception("activity.raised")
        detail = values.storable(f"{type(error).__name__}: {values.words_of(error)}")
        final = hold.lease.policy["non_retryable"]
        return Failed(detail, code=type(error).__name__, retryable=not patience.is_final(error, final))
    else:
        return outcome
    finally:
        _close_unless(keep=keep)


# What is kept must work, and be in no transaction.
def _close_unless(*, keep: bool) -> None:
    for connection in connections.all(initialized_only=True):
        if not (keep and is_fresh(connection)):
            connection.close()
