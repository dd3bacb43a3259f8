"""Where everything of a data directory lies."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

# A socket's address holds 107 bytes, and PostgreSQL appends "/.s.PGSQL.5432" and a lock's ".lock" beside it.
LONGEST_SOCKET_DIR = 107 - len("/.s.PGSQL.5432.lock")
WHERE_SOCKETS_ARE = "The sockets are elsewhere because the path of this directory is too long for one:\n"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one data directory."""

    root: Path

    @classmethod
    def of(cls, data_dir: str | Path) -> "Layout":
        """The layout of a directory that need not exist yet; its true path names it, whatever links lead there."""
        return cls(Path(os.path.realpath(data_dir)))

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data."""
        return self.root / "postgres"

    @property
    def redis(self) -> Path:
        """Redis's working directory."""
        return self.root / "redis"

    @property
    def users(self) -> Path:
        """One locked file per process that uses the servers."""
        return self.root / "users"

    @property
    def lock(self) -> Path:
        """Held while servers are started or stopped."""
        return self.root / "lock"

    @property
    def keeper_pid(self) -> Path:
        """The keeper's number."""
        return self.root / "keeper.pid"

    @property
    def logs(self) -> Path:
        """What the servers and processes wrote."""
        return self.root / "logs"

    @property
    def alive(self) -> Path:
        """One file per supervised process, stamped by it."""
        return self.root / "alive"

    @property
    def sockets(self) -> Path:
        """The sockets' directory: inside the data directory, or in the temporary one when the path is too long."""
        inside = self.root / "run"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_DIR:
            return inside
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"kalcifer-{os.getuid()}-{name}"

    @property
    def redis_socket(self) -> Path:
        """Where Redis listens."""
        return self.sockets / "redis.sock"

    @property
    def database_url(self) -> str:
        """The database as other processes are told of it."""
        return f"postgresql://postgres@/kalcifer?host={self.sockets}"

    @property
    def redis_url(self) -> str:
        """Redis as other processes are told of it."""
        return f"unix://{self.redis_socket}"

    def create(self) -> None:
        """Make the directories; raises OSError where that is impossible."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.users, self.logs, self.redis, self.alive):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._create_sockets()

    def _create_sockets(self) -> None:
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        if self.sockets.parent == self.root:
            return
        (self.root / "sockets").write_text(f"{WHERE_SOCKETS_ARE}{self.sockets}\n")
