"""Measures how fast Kalcifer is on this machine, in a database of its own."""

import os
import signal
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from psycopg import sql

from kalcifer import outside
from kalcifer.embedded.layout import Layout
from kalcifer.exits import Exit

WORKLOADS = (
    "chain3",
    "chain10",
    "activity3",
    "latency",
    "timers",
    "events",
    "waiting",
    "recovery",
    "saga_fail",
    "saga_local",
    "append",
    "projection",
    "snapshot",
    "import",
    "segments",
    "sends",
)
SOURCES = Path(__file__).resolve().parents[3]


class Command(BaseCommand):
    """`manage.py bench`."""

    help = "Measure how fast Kalcifer is on this machine, in a database of its own that is dropped afterwards."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to measure, and how."""
        parser.add_argument(
            "workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)} (default: all)"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
        parser.add_argument("--quick", action="store_true", help="a smoke run: small and once")
        parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="workers (default: one per core)")
        parser.add_argument("--runs", type=int, help="runs of each workload (default 3; 1 with --quick)")
        parser.add_argument(
            "--rows", type=int, default=0, help="also measure growth: chain3 with so many completed instances there"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Make the database, have it measured in another process, drop it."""
        chosen = options["workloads"] or ([] if options["rows"] else list(WORKLOADS))
        if unknown := [name for name in chosen if name not in WORKLOADS]:
            message = f"There is no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}."
            raise CommandError(message, returncode=2)
        if find_spec("benchmarks") is None:
            raise CommandError("The workloads are in the repository only: run this from there.")
        words = [*chosen, *(["growth"] if options["rows"] else []), *_flags(options)]
        outside.check()
        with _database() as url:
            code = _run([sys.executable, "-m", "benchmarks", *words], _environment(url))
        if code:
            sys.exit(code if code > 0 else int(Exit.FAILED))


def _flags(options: dict[str, Any]) -> list[str]:
    runs = options["runs"] or (1 if options["quick"] else 3)
    switches = [f"--{name}" for name in ("json", "quick") if options[name]]
    return [*switches, "--workers", str(options["workers"]), "--runs", str(runs), "--rows", str(options["rows"])]


# The bench's processes meet nobody else's: neither in the database nor at the doorbells.
def _environment(url: str) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": str(SOURCES),
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "kalcifer.settings"),
        "KALCIFER_BENCH": "1",
        "KALCIFER_DATA_DIR": str(settings.KALCIFER_DATA_DIR),
        "DATABASE_URL": url,
        "KALCIFER_REDIS_PREFIX": f"kalcifer-bench-{os.getpid()}:",
        "KALCIFER_RATE_LIMITS": "default=0",
    }


# Ctrl-C ends the measuring in order, and the database is dropped after it.
def _run(command: list[str], environment: dict[str, str]) -> int:
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, process_group=0)
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, lambda *_: process.send_signal(signal.SIGINT))
    try:
        return process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _database() -> Iterator[str]:
    parts = urlsplit(settings.DATABASE_URL or Layout.of(settings.KALCIFER_DATA_DIR).database_url)
    name = f"kalcifer_bench_{os.getpid()}"
    server = parts._replace(path="/postgres").geturl()
    with psycopg.connect(server, autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield parts._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as session:
            session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
