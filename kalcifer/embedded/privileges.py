"""Runs a command as another user: `privileges.py UID GID RIGHT COMMAND…`, with at most one of root's rights kept.

Standard library only, as it is run by path, before any environment is known to be readable.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2
PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 28, 47, 2
# Rights are kept when the user changes, and access(2), by which PostgreSQL looks at its own files, honours them.
NO_SETUID_FIXUP = 1 << 2
CAPABILITY_VERSION_3 = 0x20080522


def passing_right() -> int | None:
    """The mildest right of this process that opens the way through closed directories."""
    held = _effective_rights()
    return next((right for right in (DAC_READ_SEARCH, DAC_OVERRIDE) if held >> right & 1), None)


def become(uid: int, gid: int, right: int | None) -> None:
    """Turn this process into another user for good."""
    libc = ctypes.CDLL(None, use_errno=True)
    if right is not None:
        _call(libc.prctl, PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if right is not None:
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(1 << right, 1 << right, 1 << right, 0, 0, 0)
        _call(libc.capset, header, sets)
        _call(libc.prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, right, 0, 0)


def _effective_rights() -> int:
    try:
        with Path("/proc/self/status").open(encoding="ascii") as status:
            return next((int(line.split()[1], 16) for line in status if line.startswith("CapEff:")), 0)
    except OSError:
        return 0


def _call(function: Callable[..., int], *arguments: object) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _main() -> None:
    uid, gid, right, *command = sys.argv[1:]
    become(int(uid), int(gid), None if right == "-" else int(right))
    os.execv(command[0], command)


if __name__ == "__main__":
    _main()
