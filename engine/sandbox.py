"""
Code of users, run where it can reach nothing: an interpreter of its own in child processes, with limits on everything.

Which one, and why: docs/decisions/0004-sandbox.md.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pydantic_monty import Monty, MontyCrashedError, MontyError, MontyRuntimeError, MontySyntaxError, ResourceLimits

from engine import values
from engine.code_ports import CodeFailed, Terms
from engine.conf import engine_settings
from engine.ports import Busy
from engine.sandbox_output import NotPlain, as_plain
from engine.sandbox_seats import Seats

MAX_MEMORY: Final = 32 * 1024 * 1024
MAX_DEPTH: Final = 200
# Questions to the host (a name that is not there, a file): each is answered with no.
MAX_QUESTIONS: Final = 100
MAX_DETAIL: Final = 500
# Computing time of a check, which parses and runs nothing.
CHECK_S: Final = 1.0
# The worker is killed when it has not stopped by itself so long after its time.
GRACE_S: Final = 1.0
# How long a call waits for its turn before it is put off (most take less than a millisecond), and a check, for which
# somebody waits.
PATIENCE_S: Final = 0.25
PATIENCE_OF_CHECKS_S: Final = 5.0
# How long the start of a process may take, on a machine that is busy.
START_S: Final = 5.0
CALLS_PER_PROCESS: Final = 1_000
# For whom sources are checked: authors of any tenant.
CHECKS: Final = "checks"
# What ends code whatever it does about it, as the author is told.
LIMITS: Final[dict[type[BaseException], tuple[str, str]]] = {
    TimeoutError: ("code_timeout", "It computed for longer than {seconds:g} s."),
    MemoryError: ("code_memory", f"It needed more than {MAX_MEMORY // 1024 // 1024} MiB of memory."),
    RecursionError: ("code_recursion", f"Its functions called each other more than {MAX_DEPTH} deep."),
}


class MontySandbox:
    """
    The engine's Sandbox. Threads share it; a forked child starts processes of its own.

    At most `sandbox_processes` calls run at once in a process, and half of them for one tenant, so that hostile code
    never takes all of its hands.
    """

    def __init__(self) -> None:
        self._opening = threading.Lock()
        self._pool: Monty | None = None
        self._seats = Seats(0)
        self._pid = 0

    def run(self, source: str, names: dict[str, Any], terms: Terms) -> Any:
        """
        Give the JSON that the code makes of these names, within the seconds, or those that the settings allow if fewer.

        Raises CodeFailed, and Busy when there is no place for it.
        """
        seconds = min(terms.seconds, engine_settings().sandbox_s)
        policy: Any = {"datetime": terms.now, "sleep": "zero", "random_start": {"seed": terms.seed}}
        try:
            with self._place(terms.whose) as pool, pool.checkout(limits=_limits(seconds), os_policy=policy) as session:
                made = session.feed_run(source, inputs=names, print_callback=_drop)
            return as_plain(made)
        except NotPlain as problem:
            raise CodeFailed("invalid_output", str(problem)) from None
        except MontyCrashedError as error:
            detail = values.storable(f"Its process died: {error}", MAX_DETAIL)
            raise CodeFailed("sandbox_crashed", detail, retryable=True) from error
        except MontyError as error:
            raise _failure(error, seconds) from error

    def fault_in(self, source: str) -> str | None:
        """Say what keeps the code from being run at all, with its line; None where nothing does."""
        try:
            # What follows is read, and never reached.
            with self._place(CHECKS, PATIENCE_OF_CHECKS_S) as pool, pool.checkout(limits=_limits(CHECK_S)) as session:
                session.feed_run(f"return\n{source}", print_callback=_drop)
        except Busy as busy:
            return f"this could not be checked now, {busy}; try again"
        except MontyError as error:
            return _told(error, lines_before=1)
        return None

    def close(self) -> None:
        """End this process's children; the next call starts new ones."""
        with self._opening:
            if self._pool is not None and self._pid == os.getpid():
                self._pool.__exit__(None, None, None)
            self._pool = None

    @contextmanager
    def _place(self, whose: str, patience_s: float = PATIENCE_S) -> Iterator[Monty]:
        pool, seats = self._opened()
        with seats.one(whose, patience_s=patience_s):
            yield pool

    # A parent's processes must not be used, nor ended, by its child; they are left alone.
    def _opened(self) -> tuple[Monty, Seats]:
        with self._opening:
            if self._pool is None or self._pid != os.getpid():
                most = engine_settings().sandbox_processes
                pool = Monty(
                    max_processes=most,
                    feed_duration_limit_grace=GRACE_S,
                    checkout_timeout=START_S,
                    max_checkouts_per_worker=CALLS_PER_PROCESS,
                )
                self._pool = pool.__enter__()
                self._seats, self._pid = Seats(most), os.getpid()
            return self._pool, self._seats


def _limits(seconds: float) -> ResourceLimits:
    return {
        "max_feed_duration_secs": seconds,
        "max_memory": MAX_MEMORY,
        "max_recursion_depth": MAX_DEPTH,
        "max_suspensions": MAX_QUESTIONS,
        "max_total_sleep_secs": 0,
    }


def _failure(error: MontyError, seconds: float) -> CodeFailed:
    for kind, (code, detail) in LIMITS.items():
        if isinstance(error.exception(), kind):
            return CodeFailed(code, detail.format(seconds=seconds))
    return CodeFailed("code_error", _told(error))


def _told(error: MontyError, *, lines_before: int = 0) -> str:
    text = values.storable(f"{type(error.exception()).__name__}: {error.exception()}", MAX_DETAIL)
    frames = error.traceback() if isinstance(error, MontySyntaxError | MontyRuntimeError) else []
    return f"line {frames[-1].line - lines_before}: {text}" if frames else text


# What it prints is nobody's business: output is what it gives back.
def _drop(stream: str, text: str) -> None: ...
