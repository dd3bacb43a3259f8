"""
What an aggregate was, at any point of its log: its events folded by the same `apply` that made its row.

An event that has no place in the log is reported and never applied; states before it can still be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from engine import errors
from engine.connections import execute
from engine.event_store.events import Event
from engine.models import SagaRun
from engine.snapshots import folds, loading
from engine.snapshots.loading import Aggregate
from engine.snapshots.manager import EVERY
from engine.verify import subjects

JSON = dict[str, Any]
At = int | datetime | None

# Whose an aggregate is, and what: its first event says so.
OWNER = "SELECT aggregate_type, tenant_id FROM stored_events WHERE aggregate_id = %s ORDER BY sequence LIMIT 1"
LAST = "SELECT max(sequence) FROM stored_events WHERE aggregate_id = %s AND aggregate_type = %s AND tenant_id = %s"
# The last event that had been recorded by then.
LAST_AT = f"{LAST} AND recorded_at <= %s"


@dataclass(frozen=True, slots=True)
class Replayed:
    """The state of an aggregate after the event `sequence`, out of `last` that there are."""

    aggregate: Aggregate
    state: Any
    sequence: int
    last: int
    event: Event

    @property
    def as_json(self) -> JSON:
        """The state: the columns of its row where it has one, else what its fold makes of it."""
        subject = subjects.ALL.get(self.aggregate.fold.aggregate_type)
        if subject is None:
            return {"state": self.aggregate.fold.dump(self.state)}
        return {name: getattr(self.state, name) for name in subject.columns}


def find(key: str, *, tenant_id: str | None = None) -> Aggregate:
    """Find an aggregate by its id, or a saga by its name; raise UnknownAggregate."""
    try:
        found = execute(OWNER, [str(UUID(key))]).fetchall()
        named = [(kind, owner, str(UUID(key))) for kind, owner in found]
    except ValueError:
        named = [("saga", str(row.tenant_id), str(row.pk)) for row in SagaRun.objects.filter(name=key)]
    if tenant_id is not None:
        named = [each for each in named if each[1] == tenant_id]
    if not named:
        raise errors.UnknownAggregate(f"There is no instance or saga {key}.")
    if len(named) > 1:
        raise errors.UnknownAggregate(f"Several tenants have a saga {key}: say whose.")
    kind, owner, aggregate_id = named[0]
    return Aggregate(owner, aggregate_id, folds.get(kind))


def parse(text: str) -> int | datetime:
    """Read what somebody wrote for `at`: the number of an event, or a time; raise InvalidMoment."""
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise errors.InvalidMoment(
            f"“{text}” is neither the number of an event nor a time such as 2030-01-01T12:00:00Z.", attr="at"
        ) from None


def replay(aggregate: Aggregate, at: At = None, *, with_snapshot: bool = False) -> Replayed:
    """
    Give the state after an event, at a time, or as it is now.

    With a snapshot only the events after it are read, where it lies before that point. Raises InvalidMoment where
    there was nothing yet, or is no such event, and UnreadableLog where the log has no state there.
    """
    owner = [aggregate.id, aggregate.fold.aggregate_type, aggregate.tenant_id]
    last = int(execute(LAST, owner).fetchall()[0][0] or 0)
    if not last:
        raise errors.UnknownAggregate
    upto = _place(at, last, owner)
    if with_snapshot:
        loaded = loading.load(aggregate, upto=None if upto == last else upto, every=EVERY)
    else:
        loaded = loading.fold(aggregate, aggregate.events(last=upto))
    # More may have been recorded since the last one was looked up.
    (event,) = aggregate.events(first=loaded.sequence, last=loaded.sequence)
    return Replayed(aggregate, loaded.state, loaded.sequence, max(last, loaded.sequence), event)


def events(aggregate: Aggregate, upto: int) -> Iterator[Event]:
    """Give the events up to one, oldest first."""
    return iter(aggregate.events(last=upto))


def _place(at: At, last: int, owner: list[str]) -> int:
    if at is None:
        return last
    if isinstance(at, datetime):
        found: int | None = execute(LAST_AT, [*owner, at]).fetchall()[0][0]
        if found is None:
            raise errors.InvalidMoment(f"Nothing was recorded of it until {at.isoformat()}.", attr="at")
        return found
    if not 1 <= at <= last:
        raise errors.InvalidMoment(f"There is no event {at}: they go from 1 to {last}.", attr="at")
    return at
