"""`manage.py why [ID]`: why an instance stands where it stands; without an id, whatever is stranded."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from engine import why
from engine.sagas import stranded
from flows.models import FlowInstance

LIMIT = 1000


class Command(BaseCommand):
    """Say why an instance stands where it stands, or list what is stranded."""

    help = "Say why an instance stands where it stands; without an ID, list live instances that nothing will ever move."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The instance, and the form of the answer."""
        parser.add_argument("id", nargs="?", help="an instance's id")
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        """Answer; exit with 1 if anything is stranded."""
        if options["id"]:
            self._explain(options["id"], as_json=options["json"])
        else:
            self._list_stranded(as_json=options["json"])

    def _explain(self, key: str, *, as_json: bool) -> None:
        try:
            instance = FlowInstance.objects.select_related("flow").get(pk=UUID(key))
        except (ValueError, FlowInstance.DoesNotExist):
            raise CommandError(f"There is no instance with the id {key}.", returncode=2) from None
        answer = why.why(instance)
        if as_json:
            document = {"id": str(instance.pk), "status": instance.status, **answer}
            self.stdout.write(json.dumps(document, default=_text))
            return
        self.stdout.write(f"{instance.pk} is {instance.status}.")
        for cause in answer["causes"]:
            self.stdout.write(f"  {cause['detail']} [{cause['code']}]")

    def _list_stranded(self, *, as_json: bool) -> None:
        runs, sagas = why.stranded(LIMIT), stranded.find(LIMIT)
        if as_json:
            document = {"stranded": [asdict(each) for each in runs], "sagas": [asdict(each) for each in sagas]}
            self.stdout.write(json.dumps(document, default=_text))
        elif not runs and not sagas:
            self.stdout.write("Nothing is stranded.")
        for each in () if as_json else runs:
            self.stdout.write(
                f"{each.id} of {each.participant_id} is {each.status} since {each.updated_at:%Y-%m-%d %H:%M:%S}"
            )
        for saga in () if as_json else sagas:
            self.stdout.write(f"Saga {saga.name} is {saga.status} since {saga.created_at:%Y-%m-%d %H:%M:%S}")
        if runs or sagas:
            raise SystemExit(1)


def _text(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
