"""
Threads for callables that are not asynchronous.

As many as there are calls: a call that hangs, or waits for another saga, keeps nobody else from being called. They are
daemons, so that a hanging call does not keep the process from ending.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Final

from django.db import close_old_connections, connections

Work = Callable[[], None]

SPARE: Final = 8
IDLE_S: Final = 10.0


class Threads:
    """Runs each work at once; a few threads, with their database connections, stay for the next for a while."""

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def run(self, work: Work) -> None:
        """Run the work, which must not raise, in a thread that does nothing else meanwhile."""
        with self._lock:
            if self._idle:
                # Reserved and handed over under the lock: no thread may end between the two.
                self._idle -= 1
                self._waiting.put(work)
                return
        Thread(target=self._serve, args=(work,), name="kalcifer-saga", daemon=True).start()

    def _serve(self, first: Work) -> None:
        work: Work | None = first
        try:
            while work is not None:
                close_old_connections()
                work()
                close_old_connections()
                # What the work refers to is not kept alive by a thread that waits.
                work = first = _nothing
                work = self._next()
        finally:
            connections.close_all()

    def _next(self) -> Work | None:
        with self._lock:
            if self._idle >= SPARE:
                return None
            self._idle += 1
        try:
            return self._waiting.get(timeout=IDLE_S)
        except Empty:
            with self._lock:
                try:
                    return self._waiting.get_nowait()
                except Empty:
                    self._idle -= 1
                    return None

    def _forget(self) -> None:
        self._lock = Lock()
        self._idle = 0
        self._waiting: SimpleQueue[Work] = SimpleQueue()


def _nothing() -> None:
    """Stands where a work was."""


threads: Final = Threads()
