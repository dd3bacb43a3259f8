"""
The way from asynchronous callers to the one, synchronous implementation: a small pool of threads with connections.

A public method is written once, as `…_sync`; its asynchronous twin is made of it: `append = bridge.twin(append_sync)`.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from threading import Barrier, Lock
from typing import Any, Final, ParamSpec, TypeVar

import structlog
from django.db import close_old_connections, connections

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

log = structlog.get_logger(__name__)

THREADS: Final = 8
SUFFIX: Final = "_sync"
CLOSING_S: Final = 30.0


class Pool:
    """
    Threads that keep their database connections from call to call, and close them when the pool is closed.

    What is called here is short: a hanging callable holds its thread. Callables of others belong in a pool of their
    own, and nothing that is called here may wait for another call of the same pool.
    """

    def __init__(self, name: str, threads: int = THREADS) -> None:
        self.name = name
        self.threads = threads
        self._lock = Lock()
        self._executor: ThreadPoolExecutor | None = None
        # A forked child has this object, and none of its threads.
        os.register_at_fork(after_in_child=self._forget)

    async def call(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """
        Call a synchronous function in a thread, with the caller's context variables; give its result.

        A cancelled caller waits for a call that has begun, so that nobody goes on beside a write that is under way.
        The cancellation is raised then; an error of the call is its cause, and is logged.
        """
        work: Future[Result] = self._submit(copy_context().run, _with_connections, partial(function, *args, **kwargs))
        cancelled = await _done(work)
        if cancelled is None:
            return work.result()
        if work.cancelled() or (error := work.exception()) is None:
            raise cancelled
        log.warning("bridge.failed_after_cancel", call=_name_of(function), exc_info=error)
        raise cancelled from error

    def twin(self, function: Callable[Parameters, Result]) -> Callable[Parameters, Coroutine[Any, Any, Result]]:
        """Make the asynchronous twin of a synchronous function or method; its name is without `_sync`."""

        @wraps(function)
        async def twin(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            return await self.call(function, *args, **kwargs)

        twin.__name__ = function.__name__.removesuffix(SUFFIX)
        twin.__qualname__ = function.__qualname__.removesuffix(SUFFIX)
        return twin

    def close(self) -> None:
        """Close every thread's connections and end the threads; the next call begins anew."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is None:
            return
        # All threads meet, so that none is asked twice and another not at all.
        everybody = Barrier(self.threads)
        for closed in [executor.submit(_close_connections, everybody) for _ in range(self.threads)]:
            closed.result(CLOSING_S)
        executor.shutdown()

    # Under the lock also for the submit: `close` must not end the pool between the two.
    def _submit(self, function: Callable[..., Result], *args: Any) -> Future[Result]:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix=self.name)
            return self._executor.submit(function, *args)

    def _forget(self) -> None:
        self._lock = Lock()
        self._executor = None


# Waits until the work has ended, whoever cancels the waiter meanwhile; what had not begun is not done at all.
async def _done(work: Future[Any]) -> asyncio.CancelledError | None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    work.add_done_callback(lambda _: loop.call_soon_threadsafe(_settle, ended))
    cancelled = None
    while not ended.done():
        try:
            await asyncio.wait((ended,))
        except asyncio.CancelledError as cancel:
            cancelled = cancel
            work.cancel()
    return cancelled


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


# Connections stay open between calls. One that was lost meanwhile is replaced before it fails the next call, and one
# that failed is closed at once.
def _with_connections(work: Callable[[], Result]) -> Result:
    close_old_connections()
    _drop_lost()
    try:
        return work()
    finally:
        close_old_connections()


# An idle connection has nothing to read, unless its server said good-bye: asking the socket costs no round trip.
def _drop_lost() -> None:
    for each in connections.all(initialized_only=True):
        if each.connection is not None and not each.in_atomic_block and _is_readable(each.connection.fileno()):
            if each.is_usable():
                continue
            each.close()


def _is_readable(descriptor: int) -> bool:
    asked = select.poll()
    asked.register(descriptor, select.POLLIN)
    return bool(asked.poll(0))


def _close_connections(everybody: Barrier) -> None:
    everybody.wait(CLOSING_S)
    connections.close_all()


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", function))


_pool: Final = Pool("kalcifer-bridge")
call: Final = _pool.call
twin: Final = _pool.twin
close: Final = _pool.close
