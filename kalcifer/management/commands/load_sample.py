"""Puts a shop with customers and journeys into an empty system."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from flows.models import Flow
from kalcifer import migrating
from kalcifer.demo.sample import loading
from kalcifer.exits import Exit
from marketing.models import Customer
from tenants.models import Tenant

MOST = 1_000_000


class Command(BaseCommand):
    """`manage.py load_sample`."""

    help = (
        "Load sample journeys, segments, templates and customers into an empty system; again, it adds what is missing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How many customers, and how it is told."""
        parser.add_argument("--customers", type=int, default=loading.CUSTOMERS, help="(default %(default)s)")
        parser.add_argument("--seed", type=int, default=loading.SEED, help="another seed, other people")
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, *_: Any, **options: Any) -> None:
        """Load, or say why not."""
        if not 0 <= options["customers"] <= MOST:
            raise CommandError(f"--customers has to be between 0 and {MOST}.", returncode=2)
        _prepare()
        if stranger := _somebody_elses():
            raise CommandError(
                f"This system is in use: the tenant {stranger} has flows or customers. The sample is for an empty one; "
                "give it a database of its own (KALCIFER_DATA_DIR=… or DATABASE_URL=…).",
                returncode=int(Exit.FAILED),
            )
        tenant, _is_new = Tenant.objects.get_or_create(name=loading.TENANT)
        loaded = loading.load(tenant, customers=options["customers"], seed=options["seed"])
        if options["json"]:
            self.stdout.write(json.dumps({"tenant_id": str(tenant.pk), **loaded.counts()}))
            return
        told = ", ".join(f"{count} {name}" for name, count in loaded.counts().items() if count)
        self.stdout.write(f"Loaded into the tenant {tenant.name}: {told or 'nothing, it was all there'}.")
        self.stdout.write("`manage.py up` runs it; `manage.py demo` plays it.")


# An empty system may have no tables yet.
def _prepare() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        migrating.migrate()


# Whoever has anything of their own must not find a shop beside it.
def _somebody_elses() -> str | None:
    others = Tenant.objects.exclude(name=loading.TENANT)
    for model in (Flow, Customer):
        row = model.objects.filter(tenant__in=others).select_related("tenant").order_by().first()
        if row is not None:
            return str(row.tenant.name)
    return None
