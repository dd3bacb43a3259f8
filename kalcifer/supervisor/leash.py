"""Runs a command that dies with its parent: `leash.py PARENT COMMAND…`. Standard library only, as it is run by path."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tie(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; a parent that ended already is noticed too."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def _main() -> None:
    parent, *command = sys.argv[1:]
    tie(int(parent))
    os.execv(command[0], command)


if __name__ == "__main__":
    _main()
