"""What a supervisor is asked to run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROLES = ("web", "advance", "activities", "background", "beat", "sweeper")


@dataclass(frozen=True, slots=True)
class Options:
    """Which roles run, how many processes they have, and what they are told.

    Without `database_url` the processes use the database of the settings. With `logs` each role writes to a file there,
    else to the terminal of the supervisor. `environment` is added to the processes' own.
    """

    roles: tuple[str, ...] = ROLES
    host: str = "127.0.0.1"
    port: int = 4500
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    activity_slots: int = 4
    web_workers: int = 2
    web_threads: int = 8
    database_url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    logs: Path | None = None

    @property
    def url(self) -> str:
        """Where the web answers."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"
