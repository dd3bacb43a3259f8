"""One role as a process that is started again whenever it dies or falls silent."""

import subprocess
import sys
import time
from collections.abc import Mapping
from os import getpid
from pathlib import Path
from signal import SIGKILL, Signals

import structlog

from kalcifer.supervisor import leash

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
# A process that lived this long was healthy: the next restart is quick again.
HEALTHY_AFTER = 20.0
SILENCE = 30.0
FIRST_SIGN_WITHIN = 90.0

logger = structlog.get_logger(__name__)


class Child:
    """A role's process and its restarts. The supervisor's one thread calls it, so that nothing here needs a lock."""

    def __init__(self, role: str, command: list[str], environment: Mapping[str, str], *, log: Path | None) -> None:
        self.role = role
        self._command = command
        self._alive_file = Path(environment["KALCIFER_ALIVE_FILE"])
        self._environment = dict(environment)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._born = 0.0
        self.pause = FIRST_PAUSE
        self._next_birth = 0.0

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The present process, or the last one."""
        return self._process

    @property
    def pid(self) -> int | None:
        """The present process's number."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def has_shown_life(self) -> bool:
        """Whether the present process has stamped its file."""
        return self.pid is not None and self._last_sign() > 0

    def start(self) -> None:
        """Start the process: in the supervisor's session, but out of Ctrl-C's reach."""
        self._alive_file.unlink(missing_ok=True)
        self._born = time.monotonic()
        leashed = [sys.executable, "-I", "-S", leash.__file__, str(getpid()), *self._command]
        if self._log is None:
            self._process = self._spawn(leashed, None)
        else:
            with self._log.open("ab") as output:
                self._process = self._spawn(leashed, output.fileno())

    def tend(self) -> None:
        """Notice a death and start again when it is time."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is not None:
            self._plan_restart(now)
        if self._process is None and now >= self._next_birth:
            self.start()

    def end_if_silent(self) -> None:
        """Kill a process whose loop no longer turns; `tend` starts another."""
        last = max(self._last_sign(), time.time() - (time.monotonic() - self._born))
        # A busy machine may take long to import everything; a loop that has turned once turns on.
        patience = SILENCE if self._last_sign() > 0 else FIRST_SIGN_WITHIN
        if self.pid is not None and time.time() - last > patience:
            logger.error("process.silent", role=self.role, pid=self.pid, seconds=round(time.time() - last))
            self.signal(SIGKILL)

    def signal(self, signal: Signals) -> None:
        """Send a signal to the process, if there is one."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal)

    def wait(self, seconds: float) -> bool:
        """Whether the process has ended within that time."""
        try:
            if self._process is not None:
                self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        self._alive_file.unlink(missing_ok=True)
        return True

    def _spawn(self, command: list[str], output: int | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
        )

    def _plan_restart(self, now: float) -> None:
        assert self._process is not None
        lived = now - self._born
        self.pause = FIRST_PAUSE if lived > HEALTHY_AFTER else min(self.pause * 2, LONGEST_PAUSE)
        self._next_birth = now + self.pause
        logger.warning("process.died", role=self.role, code=self._process.returncode, restart_in_s=self.pause)
        self._process = None

    def _last_sign(self) -> float:
        try:
            return self._alive_file.stat().st_mtime
        except OSError:
            return 0.0
