"""The account that PostgreSQL runs under, since it refuses to run as root."""

import os
import pwd
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from kalcifer.embedded import errors, privileges

PREFERRED = ("kalcifer", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a server process belongs to; `uid` is None for the user who typed the command."""

    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        """Give one file or directory to the account."""
        if self.uid is not None and path.stat().st_uid != self.uid:
            os.chown(path, self.uid, self.gid if self.gid is not None else -1)

    def trusts(self, path: Path) -> bool:
        """Whether a directory belongs to nobody but the account or the user who typed the command."""
        found = path.lstat()
        return found.st_uid in {os.getuid(), self.uid} and not stat.S_ISLNK(found.st_mode) and not found.st_mode & 0o022

    def let_in(self, folder: Path) -> None:
        """Make this one directory traversable for the account; its parents stay as they are."""
        if self.uid is not None:
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o011)

    def command(self, *words: str | Path, reach: tuple[Path, ...]) -> list[str]:
        """The command line that runs `words` as this account.

        Where a directory on the way to `reach` is closed to it (a clone below /root), the process keeps root's right
        to pass through directories, and nothing else of root.
        """
        plain = [str(word) for word in words]
        if self.uid is None:
            return plain
        passes = "-" if all(_is_open(path, self.uid) for path in reach) else _passing_right()
        return [sys.executable, "-I", "-S", privileges.__file__, str(self.uid), str(self.gid), passes, *plain]


def of_server() -> Account:
    """The user's own account, or as root an unprivileged one."""
    if os.geteuid() != 0:
        return Account()
    for name in PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise errors.ServersUnavailable("PostgreSQL refuses to run as root, and there is no user 'kalcifer' or 'nobody'.")


def _is_open(path: Path, uid: int) -> bool:
    for folder in (path, *path.parents):
        found = folder.stat()
        if found.st_uid != uid and not found.st_mode & stat.S_IXOTH:
            return False
    return True


def _passing_right() -> str:
    right = privileges.passing_right()
    if right is None:
        raise errors.DataDirUnusable(
            "The server's user cannot reach the data directory or the virtual environment: a directory on the way is "
            "closed to other users. Set KALCIFER_DATA_DIR to a directory below an open one."
        )
    return str(right)
