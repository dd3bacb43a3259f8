"""Stops the servers of a data directory whose users were all killed: a small process that watches their locks."""

import os
import sys
import time
from pathlib import Path
from signal import SIGKILL, SIGTERM

import psutil

from kalcifer.embedded import postgres, redis, server_process
from kalcifer.embedded.layout import Layout
from kalcifer.embedded.roster import Roster, exclusive

INTERVAL = 2.0
SOURCES = Path(__file__).resolve().parents[2]


def start(layout: Layout) -> None:
    """Start the keeper unless it watches already. The caller holds the data directory's lock."""
    if server_process.find(layout.keeper_pid, layout.root) is not None:
        return
    command = [sys.executable, "-m", "kalcifer.embedded.keeper", str(layout.root)]
    environment = os.environ | {"PYTHONPATH": str(SOURCES)}
    process = server_process.launch(
        command, folder=layout.root, log=layout.logs / "keeper.log", environment=environment
    )
    layout.keeper_pid.write_text(f"{process.pid}\n")


def stop(layout: Layout) -> None:
    """End the keeper; the last user out does its work. The caller holds the data directory's lock."""
    process = server_process.find(layout.keeper_pid, layout.root)
    if process is not None and process.pid != os.getpid():
        server_process.end(process, SIGTERM, SIGKILL, patience=2)
    layout.keeper_pid.unlink(missing_ok=True)


def watch(layout: Layout) -> None:
    """Wait until nobody is left, or the data directory is gone, then stop the servers."""
    kept: list[psutil.Process] = []
    while layout.lock.exists():
        with exclusive(layout.lock):
            if Roster(layout.users).is_empty():
                redis.stop(layout)
                postgres.stop(layout)
                stop(layout)
                return
            kept = [process for process in (redis.running(layout), postgres.running(layout)) if process]
        time.sleep(INTERVAL)
    for process in kept:
        server_process.end(process, SIGTERM, SIGKILL, patience=5)


if __name__ == "__main__":
    watch(Layout.of(sys.argv[1]))
