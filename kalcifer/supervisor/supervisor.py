"""Starts every role, keeps it running, and stops all of it."""

import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Self

import structlog
from django.conf import settings

from kalcifer.embedded import errors, postgres, redis, servers
from kalcifer.embedded.layout import Layout
from kalcifer.supervisor import roles
from kalcifer.supervisor.child import Child
from kalcifer.supervisor.options import Options

TICK = 0.1
WATCH_INTERVAL = 2.0
STOP_TIMEOUT = 18.0
SOURCES = Path(__file__).resolve().parents[2]

logger = structlog.get_logger(__name__)


class Supervisor:
    """All processes of one Kalcifer on this machine.

    The roles live in the caller's process session and are killed by the kernel when the caller dies. The database has
    to be migrated before `start`. Use it as a context manager, or call `stop`.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self._layout = Layout.of(settings.KALCIFER_DATA_DIR)
        self._children = {role: self._child(role) for role in self.options.roles if roles.exists(role)}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def processes(self) -> dict[str, int]:
        """Role to process id, of those that run at this moment."""
        return {role: pid for role, child in self._children.items() if (pid := child.pid) is not None}

    def start(self) -> None:
        """Start everything and return at once."""
        if self._uses_embedded:
            servers.ensure(settings.KALCIFER_DATA_DIR)
        self._layout.create()
        self._thread.start()

    def wait_ready(self, seconds: float = 60, *, unless: threading.Event | None = None) -> bool:
        """Wait until every process has shown life and the web answers that it is ready, or until `unless` is set."""
        ended = unless or self._stopping
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not ended.is_set():
            if self._is_ready():
                return True
            ended.wait(0.1)
        return False

    def kill(self, *chosen: str, signal: Signals = SIGKILL) -> list[int]:
        """Send a signal to the processes of these roles; they are started again as any other that dies.

        After SIGKILL they are dead when this returns, so that `wait_ready` then speaks of the next ones.
        """
        hit = {role: pid for role, pid in self.processes.items() if role in chosen}
        for role in hit:
            self._children[role].signal(signal)
        for role in hit if signal == SIGKILL else ():
            self._children[role].wait(5)
        return list(hit.values())

    def stop(self) -> None:
        """Stop every process; the bundled servers stop with their last user."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    # One thread starts, tends and stops the children: to the kernel, the thread that started one is its parent.
    def _run(self) -> None:
        next_watch = time.monotonic() + WATCH_INTERVAL
        while not self._stopping.wait(TICK):
            for child in self._children.values():
                child.tend()
            if time.monotonic() > next_watch:
                self._watch()
                next_watch = time.monotonic() + WATCH_INTERVAL
        self._end_all()

    def _watch(self) -> None:
        for role in roles.WATCHED & self._children.keys():
            self._children[role].end_if_silent()
        if self._uses_embedded and not (postgres.running(self._layout) and redis.running(self._layout)):
            logger.warning("servers.died")
            try:
                servers.revive(self._layout)
            except (errors.ServersUnavailable, OSError) as error:
                logger.error("servers.not_revived", error=str(error))  # noqa: TRY400  # the message says it all

    def _end_all(self) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT
        for child in self._children.values():
            child.signal(SIGTERM)
        for child in self._children.values():
            if not child.wait(deadline - time.monotonic()):
                logger.warning("process.killed", role=child.role)
                child.signal(SIGKILL)
                child.wait(5)

    def _is_ready(self) -> bool:
        watched = roles.WATCHED & self._children.keys()
        if not all(self._children[role].has_shown_life for role in watched):
            return False
        return "web" not in self._children or self._web_is_ready()

    def _web_is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.options.url}/api/v1/health/ready", timeout=5):  # noqa: S310  # our own URL
                return True
        except (urllib.error.URLError, OSError):
            return False

    @property
    def _uses_embedded(self) -> bool:
        return not (settings.DATABASE_URL and settings.REDIS_URL_IS_GIVEN)

    def _child(self, role: str) -> Child:
        log = self.options.logs / f"{role}.log" if self.options.logs else None
        return Child(role, roles.command(role, self.options), self._environment(role), log=log)

    def _environment(self, role: str) -> Mapping[str, str]:
        own = {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCES), os.environ.get("PYTHONPATH")])),
            "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "kalcifer.settings"),
            "KALCIFER_DATA_DIR": str(settings.KALCIFER_DATA_DIR),
            "KALCIFER_ROLE": role,
            "KALCIFER_ALIVE_FILE": str(self._layout.alive / f"{os.getpid()}-{role}"),
            "DATABASE_URL": self.options.database_url or settings.DATABASE_URL or self._layout.database_url,
            "REDIS_URL": settings.REDIS_URL,
            "KALCIFER_REDIS_PREFIX": settings.KALCIFER_REDIS_PREFIX,
            "REMAP_SIGTERM": "SIGQUIT",
        }
        return os.environ | own | dict(self.options.environment)
