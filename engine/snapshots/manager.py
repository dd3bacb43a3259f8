"""`SnapshotManager`: what programs use of snapshots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar
from uuid import UUID

from engine import bridge, tenancy
from engine.errors import InvalidAggregate
from engine.event_store.addresses import AggregateRef, address_of
from engine.event_store.aggregate import Aggregate
from engine.event_store.events import Event
from engine.event_store.upcasters import RESERVED
from engine.snapshots import folds, loading, store
from engine.snapshots.folds import Fold
from engine.snapshots.loading import Loaded
from tenants.models import Tenant

AnyAggregate = TypeVar("AnyAggregate", bound=Aggregate)

# How many events a load may have to fold before it takes a snapshot; docs/explanation/snapshots.md has the measure.
EVERY: Final = 250


class SnapshotManager:
    """
    Loads aggregates by their newest snapshot and the events after it.

    A snapshot only ever saves time: one that is wrong is found, thrown away and replaced from the log. An aggregate is
    `("account", id)`, its id a UUID or a name; `("instance", id)` and `("saga", id)` are known too. How a type is
    folded is registered once, at start-up. A load that had to fold `every` events takes a snapshot. `tenant` None is
    the tenant `default`. Synchronous calls join the caller's transaction.
    """

    def __init__(self, tenant: Tenant | UUID | str | None = None, *, every: int = EVERY) -> None:
        if every < 1:
            raise ValueError("A snapshot can be taken every event, and not more often.")
        self._tenant = tenancy.key_of(tenant)
        self._every = every

    @staticmethod
    def register(
        aggregate_type: str,
        *,
        initial: Callable[[], Any],
        apply: Callable[[Any, Event], Any],
        version: int = 1,
        dump: Callable[[Any], Any] | None = None,
        load: Callable[[Any], Any] | None = None,
    ) -> None:
        """
        Say how a type of aggregate is folded.

        `initial` makes the state before the first event, `apply` gives the state after an event. A state that is no
        plain JSON needs `dump` and `load`. Raise `version` whenever `apply`, or an upcaster of its events, changes what
        becomes of old events.
        """
        if aggregate_type in RESERVED:
            raise InvalidAggregate(f"Aggregates of type {aggregate_type!r} are the engine's own.")
        forms = {name: form for name, form in (("dump", dump), ("load", load)) if form}
        folds.register(Fold(aggregate_type, lambda _: initial(), apply, version, **forms))

    @classmethod
    def register_aggregate(cls, kind: type[Aggregate], *, version: int = 1) -> None:
        """Say it of a class of aggregates; raise `version` whenever one of its `when_…` changes."""
        cls.register(kind.type, initial=kind.initial, apply=kind.apply, version=version)

    def load_sync(self, aggregate: AggregateRef, *, upto: int | None = None) -> Loaded:
        """
        Give the state of an aggregate, as it is or as it was after the event `upto`.

        Raises UnknownFold for a type that nobody registered, and UnreadableLog at an event that cannot be applied.
        """
        return loading.load(self._of(aggregate), upto=upto, every=self._every)

    def load_aggregate_sync(self, kind: type[AnyAggregate], id: UUID | str) -> AnyAggregate:  # noqa: A002  # its name
        """Give an aggregate of a registered class, ready to decide and to be saved."""
        loaded = self.load_sync((kind.type, id))
        return kind(id, loaded.state, loaded.sequence)

    def take_sync(self, aggregate: AggregateRef) -> bool:
        """Take a snapshot now; False where there is nothing newer to keep."""
        of = self._of(aggregate)
        loaded = loading.load(of, every=2**63)
        return loaded.sequence > 0 and loading.take(of, loaded)

    def verify_sync(self, aggregate: AggregateRef) -> str | None:
        """Compare a snapshot with the log; give the reason for which it was replaced, None where it is right."""
        return loading.verify(self._of(aggregate))

    def discard_sync(self, aggregate: AggregateRef) -> bool:
        """Throw a snapshot away; False where there is none."""
        of = self._of(aggregate)
        kept = store.read(of.id)
        return kept is not None and kept.tenant_id == of.tenant_id and store.discard(kept)

    load = bridge.twin(load_sync)
    load_aggregate = bridge.twin(load_aggregate_sync)
    take = bridge.twin(take_sync)
    verify = bridge.twin(verify_sync)
    discard = bridge.twin(discard_sync)

    def _of(self, aggregate: AggregateRef) -> loading.Aggregate:
        tenant_id = tenancy.id_of(self._tenant)
        if _is_reserved(aggregate):
            kind, key = aggregate
            return loading.Aggregate(tenant_id, _uuid(key), folds.get(kind))
        address = address_of(tenant_id, aggregate)
        return loading.Aggregate(tenant_id, address.id, folds.get(address.type))


# Whatever else it is, it is looked at with the addresses of users' own.
def _is_reserved(aggregate: AggregateRef) -> bool:
    return (
        isinstance(aggregate, tuple)
        and len(aggregate) == 2  # noqa: PLR2004  # a type and an id
        and isinstance(aggregate[0], str)
        and aggregate[0] in RESERVED
    )


def _uuid(key: UUID | str) -> str:
    try:
        return str(UUID(str(key)))
    except ValueError:
        raise InvalidAggregate(f"{key!r} is no UUID.", attr="aggregate.id") from None
