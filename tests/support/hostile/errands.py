"""Steps of sagas that stop at a gate, so that a test can strike while they are under way."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from engine.saga_context import current_step


def run(folder: str, word: str) -> str:
    """Leave the step's key, and wait while there is a gate of this word."""
    _pass(Path(folder), word)
    return word


def take_back(folder: str, word: str) -> None:
    """Undo it, likewise."""
    _pass(Path(folder), f"not-{word}")


def refuse(folder: str, word: str) -> None:
    """Fail for good, after the gate."""
    _pass(Path(folder), word)
    raise ValueError(word)


def die(folder: str, word: str) -> None:
    """Take the worker process along."""
    _pass(Path(folder), word)
    os.kill(os.getpid(), signal.SIGKILL)


def _pass(folder: Path, word: str) -> None:
    step = current_step.get()
    assert step is not None
    with (folder / word).open("a", encoding="utf-8") as trace:
        trace.write(f"{step.idempotency_key}\n")
    pause = threading.Event()
    while (folder / f"gate-{word}").exists():
        pause.wait(0.02)
