"""Ctrl-C, also where Python loses it: an exception that is raised inside a library's callback goes nowhere."""

import signal
import threading
from typing import Any

_asked = threading.Event()


def listen() -> None:
    """Raise KeyboardInterrupt at the first SIGINT, and let no further one disturb the clearing away."""
    signal.signal(signal.SIGINT, _hear)


def check() -> None:
    """Raise KeyboardInterrupt if it was asked for."""
    if _asked.is_set():
        raise KeyboardInterrupt


def _hear(*_: Any) -> None:
    if not _asked.is_set():
        _asked.set()
        raise KeyboardInterrupt
