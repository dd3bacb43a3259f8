"""Actions and compensations that any process can import, and what tests want to know of them."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

from engine.event_store.events import Event
from engine.saga_context import current_saga_id, current_step

done: list[str] = []
keys: list[str] = []
sulking = threading.Event()
gate = threading.Event()
_lock = threading.Lock()


class CardDeclined(Exception):
    """What a bank says."""


def forget() -> None:
    """Begin a test."""
    done.clear()
    keys.clear()
    heard.clear()
    sulking.clear()
    gate.clear()


heard: list[tuple[str, str | None, Any]] = []


def hear(event: Event) -> None:
    """Listen to the bus."""
    assert current_saga_id.get() == event.data["saga_id"]
    heard.append((event.type, event.data["step"], event.data["result"]))


def note(word: str) -> str:
    """Do something that leaves a trace in this process."""
    with _lock:
        done.append(word)
    return f"did {word}"


def undo(word: str) -> str:
    """Undo it."""
    with _lock:
        done.append(f"not {word}")
    return f"undid {word}"


async def note_async(word: str) -> str:
    """Likewise, asynchronously."""
    return note(word)


async def linger(*_: Any) -> None:
    """Never come to an end by itself."""
    await asyncio.Event().wait()


def decline(*_: Any) -> None:
    """Fail for good."""
    raise CardDeclined("no funds")


class Speechless(Exception):
    """An error that cannot be told."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def be_speechless(*_: Any) -> None:
    """Fail for good, and for no reason that could be told."""
    raise Speechless


def sulk(word: str) -> None:
    """Fail as long as it sulks."""
    step = current_step.get()
    assert step is not None
    keys.append(step.idempotency_key)
    if sulking.is_set():
        raise RuntimeError("nobody answers")
    undo(word)


def exit_at_once(*_: Any) -> None:
    """Take the whole worker process along."""
    os.kill(os.getpid(), signal.SIGKILL)


def not_json(*_: Any) -> object:
    """Give back what cannot be kept."""
    return object()


def tell(folder: str, word: str) -> dict[str, Any]:
    """Leave a trace that other processes see, with the context it was called in."""
    step = current_step.get()
    assert step is not None
    with (Path(folder) / "log").open("a", encoding="utf-8") as log:
        log.write(f"{word} {step.idempotency_key} {step.attempt}\n")
    return {"saga": current_saga_id.get(), "step": step.step, "results": step.results, "result": step.result}


def hold_on(word: str) -> str:
    """Do something that takes as long as a test wants, and cannot be stopped."""
    with _lock:
        done.append(f"begins {word}")
    gate.wait(60)
    return note(word)
