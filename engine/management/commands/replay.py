"""`manage.py replay ID`: the state of an instance or saga at any point of its log."""

from argparse import ArgumentParser
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from engine import errors, replay
from engine.event_store.events import Event
from engine.management.tenants import tenant_of
from engine.replay import Replayed

JSON = dict[str, Any]


class Command(BaseCommand):
    """Say what an aggregate was."""

    help = (
        "Print the state of an instance or saga, as it is or as it was at any point, folded from its stored events;"
        " exit with 1 if an event has no place in its log."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one, when, and the form of the answer."""
        parser.add_argument("id", help="an instance's id, or a saga's id or name")
        parser.add_argument("--at", help="the number of an event, or a time such as 2030-01-01T12:00:00Z")
        parser.add_argument("--tenant", help="a tenant's id or name, where several have a saga of the same name")
        parser.add_argument("--events", action="store_true", help="list the events up to that point too")
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        """Fold and tell."""
        try:
            tenant = tenant_of(options["tenant"])
            aggregate = replay.find(options["id"], tenant_id=str(tenant) if tenant else None)
            found = replay.replay(aggregate, None if options["at"] is None else replay.parse(options["at"]))
            listed = list(replay.events(aggregate, found.sequence)) if options["events"] else None
        except errors.UnreadableLog as broken:
            hint = f" --at {broken.sequence - 1} shows what was before." if broken.sequence > 1 else ""
            raise CommandError(f"{broken.detail} It is not applied.{hint}", returncode=1) from None
        except errors.EngineError as refusal:
            raise CommandError(refusal.detail, returncode=2) from None
        self.stdout.write(_document(found, listed) if options["json"] else "\n".join(_lines(found, listed)))


def _document(found: Replayed, listed: list[Event] | None) -> str:
    document = {
        "aggregate_type": found.aggregate.fold.aggregate_type,
        "aggregate_id": found.aggregate.id,
        "tenant_id": found.aggregate.tenant_id,
        "sequence": found.sequence,
        "last_sequence": found.last,
        "recorded_at": found.event.at,
        "state": found.as_json,
    }
    if listed is not None:
        document["events"] = [
            {"sequence": each.sequence, "type": each.type, "recorded_at": each.at, "data": each.data} for each in listed
        ]
    return orjson.dumps(document).decode()


def _lines(found: Replayed, listed: list[Event] | None) -> list[str]:
    kind = found.aggregate.fold.aggregate_type
    when = f"{found.event.at:%Y-%m-%d %H:%M:%S}"
    lines = [f"{kind} {found.aggregate.id} after event {found.sequence} of {found.last} ({found.event.type}, {when}):"]
    lines += [f"  {name}: {_text(value)}" for name, value in found.as_json.items()]
    if listed is not None:
        lines.append("events:")
        lines += [f"  {each.sequence} {each.at:%Y-%m-%d %H:%M:%S} {each.type} {_text(each.data)}" for each in listed]
    return lines


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
