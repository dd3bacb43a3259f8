"""Who uses the servers of a data directory: one locked file per process, so that a killed one drops out by itself."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of a data directory: starting and stopping servers, joining and leaving."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Roster:
    """The users of one data directory; every call is made under its `exclusive` lock.

    POSIX locks, because a forked child does not inherit them: the file of a killed parent is free at once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: IO[str] | None = None
        self._owner = 0

    @property
    def has_joined(self) -> bool:
        """Whether this very process is counted, not its parent."""
        return self._own is not None and self._owner == os.getpid()

    def join(self) -> None:
        """Count this process in."""
        self._owner = os.getpid()
        self._own = (self._folder / str(self._owner)).open("w")
        fcntl.lockf(self._own, fcntl.LOCK_EX)

    def leave(self) -> None:
        """Count this process out."""
        if self._own is not None and self.has_joined:
            Path(self._own.name).unlink(missing_ok=True)
            self._own.close()
        self._own = None

    def is_empty(self) -> bool:
        """Whether nobody but this process is left; files of the dead are removed on the way."""
        own = str(os.getpid()) if self.has_joined else ""
        # Opening and closing the own file would give up its lock.
        others = [_is_alive(path) for path in self._folder.iterdir() if path.name != own]
        return not any(others)


def _is_alive(path: Path) -> bool:
    try:
        with path.open("r+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
