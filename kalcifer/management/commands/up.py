"""Runs everything: servers, migrations, web, workers, beat and sweeper."""

import os
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from engine import clock
from kalcifer import migrating, outside, ports
from kalcifer.exits import Exit
from kalcifer.supervisor import Options, Supervisor

READY_WITHIN = 60


class Command(BaseCommand):
    """`manage.py up`."""

    help = "Run everything under one supervisor until Ctrl-C."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options that `demo` takes too."""
        parser.add_argument("--port", type=int, default=settings.PORT, help="port of the web (default %(default)s)")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
        parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="workers (default: one per core)")
        parser.add_argument("--web-workers", type=int, default=2, help="web processes (default %(default)s)")

    def handle(self, *_: Any, **options: Any) -> None:
        """Start, report, wait for the end, stop."""
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        supervisor = prepare(options)
        with supervisor:
            if not supervisor.wait_ready(READY_WITHIN, unless=ended):
                if ended.is_set():
                    return
                raise CommandError(
                    f"Not everything became ready in {READY_WITHIN} s; the log above says why. Where it says nothing, "
                    "the machine was busy: try again.",
                    returncode=int(Exit.NOT_READY),
                )
            self.stdout.write(self.style.SUCCESS(f"Kalcifer is ready at {supervisor.options.url}/ (Ctrl-C stops it)"))
            self.stdout.flush()
            ended.wait()
            self.stdout.write("Stopping ...")


def prepare(options: dict[str, Any]) -> Supervisor:
    """Everything that has to be true before the first process starts; raises CommandError with its exit code."""
    ports.check(options["host"], options["port"])
    outside.check()
    migrating.migrate()
    clock.go_on_from_seen()
    chosen = Options(
        host=options["host"], port=options["port"], workers=options["workers"], web_workers=options["web_workers"]
    )
    return Supervisor(chosen)
