"""`manage.py verify`: rebuild every aggregate from its events and compare it with its row and its snapshot."""

import json
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine import verify
from engine.management.tenants import tenant_of
from engine.verify import Checked, Difference

# So many are listed; the rest is counted.
LISTED = 1000
PLURAL = {"instance": "instances", "saga": "sagas"}


@dataclass
class Sum:
    """What all shares told."""

    rebuilt: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    snapshots: int = 0
    found: int = 0
    listed: list[Difference] = field(default_factory=list)

    def add(self, checked: Checked) -> None:
        """Add a share."""
        self.rebuilt.update(checked.rebuilt)
        self.unknown.update(checked.unknown)
        self.snapshots += checked.snapshots
        self.found += len(checked.differences)
        self.listed += checked.differences[: LISTED - len(self.listed)]


class Command(BaseCommand):
    """Compare rows and snapshots with events; exit with 1 if any differs."""

    help = (
        "Rebuild every instance, saga and registered aggregate from its stored events, with its snapshot and without,"
        " and compare it with its row; exit with 1 if any differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose aggregates, how many processes, and the form of the answer."""
        parser.add_argument("--tenant", help="a tenant's id or name; without it, all tenants")
        parser.add_argument("--jobs", type=_jobs, default=os.cpu_count() or 1, help="processes (one per core)")
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, list and tell."""
        tenant = tenant_of(options["tenant"])
        told = Sum()
        for checked in _with_progress(verify.verify(tenant, jobs=options["jobs"]), verify.count(tenant)):
            told.add(checked)
        if options["json"]:
            self.stdout.write(json.dumps(_document(told)))
        else:
            self._tell(told)
        if told.found:
            raise SystemExit(1)

    def _tell(self, told: Sum) -> None:
        for each in told.listed:
            said = "" if each.row is each.events is None else f" Stored: {each.row!r}. Events: {each.events!r}."
            self.stdout.write(f"{each.aggregate_type} {each.aggregate_id} {each.field}: {each.detail}{said}")
        if told.found > len(told.listed):
            self.stdout.write(f"… and {told.found - len(told.listed)} more.")
        for kind, number in sorted(told.unknown.items()):
            self.stdout.write(f"{number} of “{kind}” are left out: nobody has registered how they are folded.")
        what = ", ".join(f"{number} {PLURAL.get(kind, kind)}" for kind, number in sorted(told.rebuilt.items()))
        beside = f" ({told.snapshots} also from a snapshot)" if told.snapshots else ""
        verdict = f"{told.found} differences" if told.found else "no difference"
        self.stdout.write(f"{what or 'Nothing'} rebuilt from their events{beside}: {verdict}.")


def _document(told: Sum) -> dict[str, Any]:
    return {
        "checked": told.rebuilt.total(),
        "rebuilt": dict(told.rebuilt),
        "snapshots": told.snapshots,
        "left_out": dict(told.unknown),
        "found": told.found,
        "differences": [asdict(each) for each in told.listed],
    }


def _jobs(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError("It has to be a number of processes, from 1.")
    return int(text)


def _with_progress(shares: Iterator[Checked], total: int) -> Iterator[Checked]:
    columns = (TextColumn("verify"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task("verify", total=total)
        for checked in shares:
            yield checked
            progress.advance(task, checked.count)
