"""The loop of closures whose event was published where no loop runs: one thread per process, made when needed."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Final

THREAD: Final = "kalcifer-bus"


class Background:
    """A loop on a daemon thread; a forked child makes its own."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        os.register_at_fork(after_in_child=self._forget)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, which runs from now on."""
        with self._guard:
            if self._loop is None or self._loop.is_closed():
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name=THREAD, daemon=True).start()
            return self._loop

    def _forget(self) -> None:
        self._guard = threading.Lock()
        self._loop = None


background: Final = Background()
