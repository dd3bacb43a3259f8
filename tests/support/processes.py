"""Other processes in tests: started in the repository, ended by their id, waited for by facts."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL
from typing import TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
NOT_INHERITED = ("PYTEST_", "DJANGO_SETTINGS_MODULE", "KALCIFER_", "DATABASE_URL", "REDIS_URL")
# Where it is not kept, every process compiles the whole product anew, a sixth of its start.
KEEPS_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}


def environment(**settings: str) -> dict[str, str]:
    """The environment of a process that knows nothing of the suite but these settings."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    return plain | KEEPS_BYTECODE | {"PYTHONPATH": str(ROOT)} | settings


def python(*words: str, env: dict[str, str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run the interpreter to its end."""
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False)


def manage(*words: str, env: dict[str, str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a management command to its end."""
    return python("manage.py", *words, env=env, timeout=timeout)


@contextmanager
def running(*words: str, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, killed with its whole group when the block ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            words, cwd=ROOT, env=env, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, SIGKILL)
        process.wait(timeout=30)


def wait_for(fact: Callable[[], T], *, seconds: float = 30, what: str = "it to happen") -> T:
    """Ask until the fact is true, and return it; fail when the time is up."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        pause.wait(0.02)
    return found


@contextmanager
def listening(port: int) -> Iterator[None]:
    """Somebody else who has the port."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        yield


def logs_in(folder: Path) -> str:
    """What the processes of a test wrote, for its failure's message."""
    return "\n".join(f"--- {log.name}\n{log.read_text()[-2000:]}" for log in sorted(folder.glob("*.log")))
