"""
Doorbells: "there may be work", said once, after commit.

A bell carries no work, may be lost, and never makes its caller fail or wait: the sweeps find whatever no bell
announced.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from django.db import transaction

from engine import bell_messages, clock
from engine.conf import engine_settings
from engine.connections import execute

logger = logging.getLogger(__name__)

# One message per queue in so many milliseconds; the consumer forgets the mark before it looks at the tables.
COALESCE_MS = 200
# After a failed ring nobody tries again for so long: a broker that is down costs its callers next to nothing.
SILENCE_S = 1.5
# Countdowns are one per moment of this length, however many timers end in it.
MOMENT_S = 0.1
TIMEOUT_S = 0.05
# A message that found no worker for so long is dropped by the one that returns; the sweep rings anew.
EXPIRES_S = 10.0


class Bell(Enum):
    """What can be rung: a task, and the queue it waits in."""

    ADVANCE = ("engine.advance", "flow_triggers")
    ROUTE = ("engine.route", "flow_triggers")
    WAKE = ("engine.wake_due", "delayed_resume")
    ACTIVITIES = ("engine.run_activities", "activities")
    JOBS = ("engine.run_jobs", "maintenance")
    PROJECT = ("engine.project", "projections")
    SAGAS = ("engine.run_sagas", "flow_triggers")
    CHORES = ("engine.run_chores", "projections")

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.value[0]

    @property
    def queue(self) -> str:
        """The queue that the task waits in."""
        return self.value[1]


class Ringer:
    """This process's way to the broker: its own connections, short timeouts, and a pause after each failure."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._pid = 0
        self._redis: redis.Redis | None = None
        self._script: Any = None
        self._silent_until = 0.0
        self.failures = 0

    @property
    def is_silent(self) -> bool:
        """Whether the last ring failed, so recently that nobody tries."""
        return time.monotonic() < self._silent_until

    def ring(self, bell: Bell, *, countdown: float = 0.0, mark: str = "", mark_ms: int = COALESCE_MS) -> bool:
        """Publish the bell's message unless one is on its way; tell whether the broker could be reached."""
        if self.is_silent:
            return False
        key = _key(mark or bell.task)
        try:
            with self._guard:
                self._connect()
                payload = bell_messages.message(bell.task, bell.queue, countdown_s=countdown, expires_s=EXPIRES_S)
                self._script(keys=[key, _list_of(bell.queue)], args=[mark_ms, payload])
        except Exception as error:  # noqa: BLE001 - whatever the broker's trouble is, it is not the caller's
            self._silent_until = time.monotonic() + SILENCE_S
            self.failures += 1
            logger.warning("bell.failed", extra={"bell": bell.task, "error": repr(error)})
            return False
        return True

    def push(self, queue: str, payloads: Sequence[bytes]) -> bool:
        """Put whole messages into a queue, as they are; tell whether the broker could be reached."""
        if self.is_silent:
            return False
        try:
            with self._guard:
                self._connect()
                assert self._redis is not None
                self._redis.lpush(_list_of(queue), *payloads)
        except Exception as error:  # noqa: BLE001 - whatever the broker's trouble is, it is not the caller's
            self._silent_until = time.monotonic() + SILENCE_S
            self.failures += 1
            logger.warning("bell.failed", extra={"bell": queue, "error": repr(error)})
            return False
        return True

    def answer(self, bell: Bell) -> None:
        """Forget the mark of a bell before the tables are read: what is committed meanwhile rings again."""
        if self.is_silent:
            return
        try:
            with self._guard:
                self._connect()
                assert self._redis is not None
                self._redis.delete(_key(bell.task))
        except Exception:  # noqa: BLE001 - the mark runs out by itself
            self._silent_until = time.monotonic() + SILENCE_S

    def reaches_broker(self) -> bool:
        """Whether the broker answers right now."""
        try:
            with self._guard:
                self._connect()
                assert self._redis is not None
                return bool(self._redis.ping())
        except Exception:  # noqa: BLE001 - any trouble is a no
            return False

    # A fork must not share sockets with its parent.
    def _connect(self) -> None:
        if self._pid == os.getpid():
            return
        self._redis = redis.Redis.from_url(
            _redis_url(), retry=None, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        )
        self._script = self._redis.register_script(bell_messages.RING)
        self._pid = os.getpid()


ringer = Ringer()


def ring(bell: Bell) -> bool:
    """Ring now; for callers that are outside of any transaction."""
    return ringer.ring(bell)


def ring_on_commit(bell: Bell) -> None:
    """Ring once when the caller's outermost transaction has committed, however often it asks."""
    callback = _CALLBACKS[bell]
    connection = transaction.get_connection()
    if connection.in_atomic_block and any(entry[1] is callback for entry in connection.run_on_commit):
        return
    transaction.on_commit(callback, robust=True)


def count_down(moments: set[datetime]) -> None:
    """Give each moment (engine time) within the horizon its countdown: one message per moment, not per timer."""
    horizon = engine_settings().countdown_horizon_s
    pace = clock.speed()
    for moment in sorted({_moment_ahead(each) for each in moments})[:600]:
        if moment <= horizon:
            # The name is the real moment, so that every process that sees the timer names it alike.
            name = f"wake:{round((time.time() + moment) / MOMENT_S) if pace else 0}"
            ringer.ring(Bell.WAKE, countdown=moment, mark=name, mark_ms=int(moment * 1000) + 1000)


def announce(near: str) -> None:
    """Give the moments of the horizon, as a statement finds them between two times, their countdown."""
    now = clock.now()
    ahead = timedelta(seconds=engine_settings().countdown_horizon_s * clock.speed())
    count_down({row[0] for row in execute(near, [now, now + ahead]).fetchall()})


def count_down_on_commit(moments: set[datetime]) -> None:
    """Give timers that are being written their countdown once they are there."""
    near = {each for each in moments if clock.real_seconds_until(each) <= engine_settings().countdown_horizon_s}
    if near:
        transaction.on_commit(lambda: count_down(near), robust=True)


def _moment_ahead(moment: datetime) -> float:
    ahead = clock.real_seconds_until(moment)
    return math.inf if math.isinf(ahead) else math.ceil(ahead / MOMENT_S) * MOMENT_S


def _key(name: str) -> str:
    prefix: str = getattr(settings, "KALCIFER_REDIS_PREFIX", "kalcifer:")
    return f"{prefix}bell:{name}"


# In somebody else's project the broker's own address will do; Celery writes sockets in another way than Redis.
def _redis_url() -> str:
    given = getattr(settings, "REDIS_URL", "") or str(current_app.conf.broker_url)
    if given.startswith("redis+socket://"):
        return given.replace("redis+socket", "unix", 1).replace("virtual_host=", "db=")
    return str(given)


# Kombu's transport keeps a queue in a list of its name.
def _list_of(queue: str) -> str:
    prefix: str = current_app.conf.broker_transport_options.get("global_keyprefix", "")
    return f"{prefix}{queue}"


def _callback(bell: Bell) -> Callable[[], None]:
    def rings() -> None:
        ringer.ring(bell)

    return rings


# A function each, not a partial: robust callbacks are reported by their name.
_CALLBACKS = {bell: _callback(bell) for bell in Bell}
