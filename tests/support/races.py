"""Things that happen at the same moment, each on a thread and a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Self, TypeVar

import psycopg
from django.db import connection

from engine.connections import execute
from tests.support.processes import wait_for

T = TypeVar("T")

# A busy machine keeps somebody waiting for longer than the product would wait.
PATIENTLY = "SET lock_timeout = '30s'"
# Within a transaction what was seen of the others is kept, until it is forgotten.
ANEW = "SELECT pg_stat_clear_snapshot()"
BLOCKED = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def at_once(calls: Sequence[Callable[[], T]], *, seconds: float = 60) -> list[T]:
    """Begin all of them at one barrier; give what they answered, in order. The first that raises is raised."""
    barrier = threading.Barrier(len(calls))

    def begin(call: Callable[[], T]) -> T:
        try:
            execute(PATIENTLY)
            barrier.wait(timeout=seconds)
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(timeout=seconds) for future in [pool.submit(begin, call) for call in calls]]


def tried_at_once(calls: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Begin all of them at one barrier; give what each answered or raised, in order."""

    def tried(call: Callable[[], T]) -> T | Exception:
        try:
            return call()
        except Exception as error:  # noqa: BLE001  # the answer of a loser
            return error

    return at_once([partial(tried, call) for call in calls])


class Meanwhile:
    """One call on a thread of its own, while the test goes on."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(self._run, call)

    def _run(self, call: Callable[[], object]) -> object:
        try:
            return call()
        finally:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True)

    def answer(self, *, seconds: float = 30) -> object:
        """Wait for its end, and give what it answered."""
        return self._future.result(timeout=seconds)


def wait_until_somebody_is_blocked() -> None:
    """Return when a session of this database waits for a lock."""
    wait_for(lambda: execute(ANEW) and execute(BLOCKED).fetchone(), what="somebody to wait for a lock")


@contextmanager
def held_by_somebody(query: str, parameters: Sequence[object]) -> Iterator[None]:
    """Have another connection hold the rows that a query locks; whoever wants them here gives up soon."""
    address = connection.get_connection_params()
    other = psycopg.connect(**{name: address[name] for name in address if name not in {"cursor_factory", "context"}})
    try:
        other.execute(query.encode(), parameters)
        execute("SET lock_timeout = '50ms'")
        yield
    finally:
        execute("RESET lock_timeout")
        other.close()
