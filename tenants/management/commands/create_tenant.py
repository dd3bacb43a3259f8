"""`manage.py create_tenant NAME`: a tenant and its first key, of role admin."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, transaction

from tenants import keys
from tenants.models import Role, Tenant

MAX_NAME = 255


class Command(BaseCommand):
    """Create a tenant and print its id and an API key of role admin."""

    help = "Create a tenant and print its id and an API key of role admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The name, and the form of the answer."""
        parser.add_argument("name", help="the tenant's name, which no other tenant may have")
        parser.add_argument(
            "--json", action="store_true", help='print {"tenant_id", "name", "api_key"} and nothing else'
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Create both or neither."""
        name = options["name"].strip()
        if not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise CommandError(f"A tenant's name has 1 to {MAX_NAME} printable characters.", returncode=2)
        try:
            with transaction.atomic():
                tenant = Tenant.objects.create(name=name)
                _, raw = keys.issue(tenant, name="first key", role=Role.ADMIN)
        except IntegrityError:
            raise CommandError(
                f"There is a tenant named {name!r} already; choose another name.", returncode=3
            ) from None
        if options["json"]:
            self.stdout.write(json.dumps({"tenant_id": str(tenant.pk), "name": tenant.name, "api_key": raw}))
            return
        self.stdout.write(
            f"tenant   {tenant.name}\nid       {tenant.pk}\nAPI key  {raw}\n\nThe key is shown this once."
        )
