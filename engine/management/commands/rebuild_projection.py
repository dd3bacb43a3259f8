"""`manage.py rebuild_projection NAME`: build a read model anew while the system runs."""

import json
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from engine.errors import ProjectionError, ProjectionStopped
from engine.projections.lag import ProjectionStatus
from engine.projections.manager import ProjectionManager

USAGE = 2


class Command(BaseCommand):
    """Rebuild; exit with 1 if an event stops it, with 2 for a projection that is not there or cannot be rebuilt."""

    help = "Build a projection's read model anew from the first event on; readers keep the old one until it caught up."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which projection, and the form of the answer."""
        parser.add_argument("name", help="the projection's name")
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild, and tell."""
        name, began = options["name"], time.monotonic()
        try:
            ended = _with_progress(name)
        except ProjectionStopped as stopped:
            raise CommandError(stopped.detail, returncode=1) from stopped
        except ProjectionError as refusal:
            raise CommandError(refusal.detail, returncode=USAGE) from refusal
        seconds = round(time.monotonic() - began, 1)
        if options["json"]:
            told = {"name": name, "build": ended.build, "count": ended.count, "place": [ended.tx, ended.position]}
            self.stdout.write(json.dumps({**told, "seconds": seconds}))
        else:
            self.stdout.write(f"{name} was rebuilt as build {ended.build} from {ended.count} events in {seconds} s.")


def _with_progress(name: str) -> ProjectionStatus:
    manager = ProjectionManager()
    before = next((each.count for each in manager.status_sync(name) if each.is_live), 0)
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(name, total=before or None)
        for now in manager.rebuild_stepwise(name):
            progress.update(task, completed=now.count)
    return now
