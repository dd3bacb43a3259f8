"""A server as an operating system process: found by its pid file, but believed only when it is really the one."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import Signals

import psutil

# Kept for as long as this process lives: a server may outlive it, and dropping its handle would warn of that.
_launched: list[subprocess.Popen[bytes]] = []


def find(pid_file: Path, folder: Path) -> psutil.Process | None:
    """The live process that the pid file names, if its working directory is `folder`.

    A number alone says nothing: after a restart of the container some other process may have it, and a killed server
    may stay as a zombie.
    """
    for child in _launched:
        child.poll()
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder:
            return process
    except (OSError, ValueError, IndexError, psutil.Error):
        pass
    return None


def launch(
    command: Sequence[str], *, folder: Path, log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a server in its own session, so that Ctrl-C does not reach it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _launched.append(process)
    return process


def end(process: psutil.Process, *signals: Signals, patience: float) -> None:
    """Send one signal after the other until the process is gone, waiting `patience` seconds for each."""
    for signal in signals:
        try:
            process.send_signal(signal)
        except psutil.NoSuchProcess:
            return
        if wait_until(lambda: not is_running(process), patience):
            return


def is_running(process: psutil.Process) -> bool:
    """Whether the process does anything still; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(fact: Callable[[], object], seconds: float, *, every: float = 0.02) -> bool:
    """Ask until the fact holds or the time is up."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def tail(log: Path, lines: int = 5) -> str:
    """The end of a log, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
