"""Signs of life: a file for the supervisor of this machine, and a row for the readiness check of any."""

import contextlib
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import structlog
from celery import bootsteps
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django_celery_beat.schedulers import DatabaseScheduler

INTERVAL = 2.0

logger = structlog.get_logger(__name__)

# One statement, as a heartbeat need not survive a crash of the server.
BEAT_SQL = """
INSERT INTO kalcifer_heartbeats (name, serves, at) VALUES (%s, %s, now())
ON CONFLICT (name) DO UPDATE SET serves = excluded.serves, at = excluded.at
"""
FORGET_SQL = "DELETE FROM kalcifer_heartbeats WHERE at < now() - interval '1 hour'"


def stamp() -> None:
    """Show that this process's loop still turns; without a supervisor there is nobody to show it to."""
    global _last_turn  # noqa: PLW0603  # one process has one loop
    _last_turn = time.monotonic()
    if settings.KALCIFER_ALIVE_FILE:
        with contextlib.suppress(OSError):
            Path(settings.KALCIFER_ALIVE_FILE).touch()


class Pulse(threading.Thread):
    """Writes the heartbeat row as long as the process's loop turns; a thread, so that a slow database stops no loop."""

    def __init__(self, serves: str) -> None:
        super().__init__(name="pulse", daemon=True)
        self._serves = serves
        self._name = f"{settings.KALCIFER_ROLE}@{socket.gethostname()}:{os.getpid()}"

    def run(self) -> None:
        """Beat until the process ends."""
        while True:
            if time.monotonic() - _last_turn < 5 * INTERVAL:
                self._beat()
            time.sleep(INTERVAL)

    def _beat(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET synchronous_commit TO off")
                cursor.execute(BEAT_SQL, [self._name, self._serves])
                cursor.execute(FORGET_SQL)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("heartbeat.not_written", error=str(error).strip())
            connection.close()


class WorkerPulse(bootsteps.StartStopStep):
    """Ties a Celery worker's event loop to its signs of life."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._entry: Any = None

    def start(self, parent: Any) -> None:
        """Begin when the pool is there: its children inherit neither thread nor connection."""
        stamp()
        self._entry = parent.timer.call_repeatedly(INTERVAL, stamp)
        Pulse(",".join(parent.app.amqp.queues.consume_from)).start()

    def stop(self, parent: Any) -> None:
        """Fall silent; the thread ends with the process."""
        if self._entry is not None:
            self._entry.cancel()


class Scheduler(DatabaseScheduler):  # type: ignore[misc]  # django-celery-beat has no types
    """Beat's scheduler with entries from the database, and signs of life."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not options.get("lazy"):
            Pulse("beat").start()

    def tick(self, *args: Any, **options: Any) -> Any:
        """Send what is due."""
        stamp()
        return super().tick(*args, **options)


_last_turn = float("-inf")
