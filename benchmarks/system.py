"""The machine, what runs on it, and what a run costs there."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from django.db import connection

import kalcifer
from benchmarks.failures import NotDurable

JSON = dict[str, Any]

PACKAGES = ("django", "celery", "psycopg", "redis", "gunicorn", "orjson")
DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
SHOWN = (*DURABLE, "shared_buffers", "max_wal_size", "wal_compression", "random_page_cost", "autovacuum")
MIB = 1024 * 1024


def machine() -> JSON:
    """What it runs on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / MIB / 1024, 1),
        "system": platform.platform(),
        "load_at_start": [round(value, 2) for value in os.getloadavg()],
    }


def versions() -> JSON:
    """What is measured."""
    found = {name: version(name) for name in PACKAGES}
    server = str(_one("SHOW server_version"))
    return {"kalcifer": kalcifer.__version__, "python": platform.python_version(), "postgresql": server, **found}


def server_settings() -> JSON:
    """What the server was told; raises NotDurable where a commit would mean nothing."""
    found = {name: str(_one(f"SHOW {name}")) for name in SHOWN}
    if off := [name for name in DURABLE if found[name] != "on"]:
        raise NotDurable(
            f"{', '.join(off)} must be on: without it, a commit is not durable and the figures are worth nothing."
        )
    return found


def database_size() -> int:
    """Bytes of the bench's database."""
    return int(_one("SELECT pg_database_size(current_database())"))


@dataclass(frozen=True, slots=True)
class Reading:
    """What has been spent so far, by everything that the bench runs."""

    python_s: float
    postgres_s: float
    wal_bytes: int
    transactions: int

    @classmethod
    def now(cls) -> "Reading":
        """Read all meters."""
        with connection.cursor() as cursor:
            # Backends report their transactions once a second; this session's own report is due now.
            cursor.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn, xact_commit FROM pg_stat_database"
                " WHERE datname = current_database()"
            )
            wal, transactions = cursor.fetchone() or (0, 0)
        server = _tree(_postmaster())
        # A server that this process has started is one of its children.
        others = set(_tree(psutil.Process())) - set(server)
        return cls(_cpu_of(others), _cpu_of(server), int(wal), int(transactions))

    def since(self, before: "Reading", count: int) -> JSON:
        """What each of `count` has cost since."""
        return {
            "python_cpu_us": round((self.python_s - before.python_s) / count * 1e6, 1),
            "postgres_cpu_us": round((self.postgres_s - before.postgres_s) / count * 1e6, 1),
            "wal_bytes": round((self.wal_bytes - before.wal_bytes) / count),
            "transactions": round((self.transactions - before.transactions) / count, 4),
        }


def memory_mib(roots: list[int]) -> float:
    """Memory of these processes and all below them; what several share is counted once."""
    total = 0
    for root in roots:
        for process in _tree(psutil.Process(root)):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
    return total / MIB


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _one(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return (cursor.fetchone() or (None,))[0]


# The server may be on another host, or its processes another user's: then its part is not known.
def _postmaster() -> psutil.Process | None:
    pid = int(_one("SELECT pg_backend_pid()"))
    try:
        backend = psutil.Process(pid)
        return backend.parent() if "postgres" in backend.name() else None
    except psutil.Error:
        return None


def _tree(root: psutil.Process | None) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)] if root else []
    except psutil.Error:
        return []


# The times of processes, and of those of their children that have ended.
def _cpu_of(processes: Iterable[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.Error:
            continue
    return total
