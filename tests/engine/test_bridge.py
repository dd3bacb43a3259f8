"""The bridge: asynchronous callers, threads with connections of their own, and cancellation that loses nothing."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import threading
from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from engine import bridge
from engine.bridge import Pool
from engine.connections import execute, one
from tenants.models import Tenant

WHO = contextvars.ContextVar("WHO", default="nobody")


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool("test-bridge", 2)
    yield made
    made.close()


class Counter:
    def add_sync(self, a: int, *, b: int = 1) -> int:
        """Add."""
        return a + b

    add = bridge.twin(add_sync)


@pytest.mark.django_db
def test_a_twin_has_the_signature_the_docstring_and_the_name_without_sync() -> None:
    assert inspect.iscoroutinefunction(Counter.add)
    assert Counter.add.__name__ == "add"
    assert Counter.add.__qualname__ == "Counter.add"
    assert Counter.add.__doc__ == "Add."
    assert inspect.signature(Counter.add) == inspect.signature(Counter.add_sync)
    assert asyncio.run(Counter().add(2, b=3)) == 5


def test_context_variables_are_those_of_each_caller(pool: Pool) -> None:
    async def ask(name: str) -> str:
        WHO.set(name)
        return await pool.call(WHO.get)

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*[ask(f"caller-{number}") for number in range(50)])

    assert asyncio.run(all_of_them()) == [f"caller-{number}" for number in range(50)]


def test_an_error_is_raised_as_it_is(pool: Pool) -> None:
    def fail(kind: type[Exception]) -> None:
        raise kind("no")

    with pytest.raises(LookupError, match="no"):
        asyncio.run(pool.call(fail, LookupError))
    # Neither hangs, nor ends the caller's loop.
    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(pool.call(fail, StopIteration))


def test_a_cancelled_caller_waits_for_the_write_that_has_begun(pool: Pool, transactional_db: None) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            Tenant.objects.create(name="first half")
            begun.set()
            assert go_on.wait(60)
            Tenant.objects.create(name="second half")

    async def cancel_in_the_middle() -> None:
        task = asyncio.create_task(pool.call(write))
        await asyncio.to_thread(begun.wait, 20)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await pool.call(Tenant.objects.filter(name__endswith="half").count) == 2

    asyncio.run(cancel_in_the_middle())


def test_the_error_of_a_call_whose_caller_was_cancelled_is_the_cause_of_the_cancellation(pool: Pool) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def fail() -> None:
        begun.set()
        assert go_on.wait(60)
        raise LookupError("lost")

    async def cancel() -> BaseException | None:
        task = asyncio.create_task(pool.call(fail))
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task
        return cancelled.value.__cause__

    assert isinstance(asyncio.run(cancel()), LookupError)


def test_what_had_not_begun_when_its_caller_was_cancelled_is_not_done(pool: Pool) -> None:
    go_on = threading.Event()
    done: list[int] = []

    async def cancel_those_in_the_queue() -> None:
        holding = [asyncio.create_task(pool.call(go_on.wait, 20)) for _ in range(pool.threads)]
        queued = [asyncio.create_task(pool.call(done.append, number)) for number in range(3)]
        await asyncio.sleep(0)
        for task in queued:
            task.cancel()
        ended = await asyncio.gather(*queued, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended)
        go_on.set()
        await asyncio.gather(*holding)

    asyncio.run(cancel_those_in_the_queue())
    assert done == []


def test_connections_are_kept_between_calls_and_gone_when_the_pool_is_closed(transactional_db: None) -> None:
    pool = Pool("closing-bridge", 2)

    async def backends() -> set[int]:
        return {await pool.call(one, "SELECT pg_backend_pid()") for _ in range(20)}

    async def at_once() -> list[float]:
        return await asyncio.gather(*[pool.call(one, "SELECT 1 FROM pg_sleep(0.01)") for _ in range(8)])

    asyncio.run(at_once())
    used = asyncio.run(backends())
    assert 1 <= len(used) <= pool.threads
    pool.close()

    alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
    assert one(alive, [list(used)]) == 0
    assert asyncio.run(backends()).isdisjoint(used)
    pool.close()


def test_a_connection_that_the_server_has_ended_does_not_fail_the_next_call(pool: Pool, transactional_db: None) -> None:
    def own_pid() -> int:
        connection.ensure_connection()
        return int(one("SELECT pg_backend_pid()"))

    first = asyncio.run(pool.call(own_pid))
    execute("SELECT pg_terminate_backend(%s, 5000)", [first])

    again = [asyncio.run(pool.call(own_pid)) for _ in range(4)]

    assert first not in again


def test_a_forked_child_has_threads_of_its_own(pool: Pool) -> None:
    assert asyncio.run(pool.call(os.getpid)) == os.getpid()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(asyncio.run(pool.call(os.getpid))).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(reading, 32)) == child
    os.close(reading)
    os.close(writing)
