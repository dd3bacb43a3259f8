"""`manage.py verify`: rebuild every instance from its events and compare it with its row."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine import verify
from engine.verify import Checked, Difference
from tenants.models import Tenant

# So many are listed; the rest is counted.
LISTED = 1000


class Command(BaseCommand):
    """Compare rows with events; exit with 1 if any differs."""

    help = "Rebuild every instance from its stored events and compare it with its row; exit with 1 if any differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose instances, and the form of the answer."""
        parser.add_argument("--tenant", help="a tenant's id or name; without it, all tenants")
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, list and tell."""
        tenant = _tenant(options["tenant"]) if options["tenant"] else None
        checked, found, listed = 0, 0, list[Difference]()
        for batch in _with_progress(verify.verify(tenant), verify.count(tenant)):
            checked += batch.count
            found += len(batch.differences)
            listed += batch.differences[: LISTED - len(listed)]
        if options["json"]:
            document = {"checked": checked, "found": found, "differences": [asdict(each) for each in listed]}
            self.stdout.write(json.dumps(document))
        else:
            self._tell(checked, found, listed)
        if found:
            raise SystemExit(1)

    def _tell(self, checked: int, found: int, listed: list[Difference]) -> None:
        for each in listed:
            said = "" if each.row is each.events is None else f" Row: {each.row!r}. Events: {each.events!r}."
            self.stdout.write(f"{each.instance_id} {each.what}: {each.detail}{said}")
        if found > len(listed):
            self.stdout.write(f"… and {found - len(listed)} more.")
        verdict = f"{found} differences" if found else "no difference"
        self.stdout.write(f"{checked} instances rebuilt from their events: {verdict}.")


def _tenant(key: str) -> UUID:
    try:
        wanted = Tenant.objects.filter(pk=UUID(key))
    except ValueError:
        wanted = Tenant.objects.filter(name=key)
    tenant = wanted.first()
    if tenant is None:
        raise CommandError(f"There is no tenant {key}.", returncode=2)
    return tenant.pk


def _with_progress(batches: Iterator[Checked], total: int) -> Iterator[Checked]:
    columns = (TextColumn("verify"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task("verify", total=total)
        for batch in batches:
            yield batch
            progress.advance(task, batch.count)
