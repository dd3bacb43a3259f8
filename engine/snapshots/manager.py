"""`SnapshotManager`: what programs use of snapshots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from engine import bridge
from engine.event_store.events import Event
from engine.snapshots import folds, loading, store
from engine.snapshots.folds import Fold
from engine.snapshots.loading import Aggregate, Loaded
from tenants.models import DEFAULT_TENANT, Tenant

# How many events a load may have to fold before it takes a snapshot; docs/explanation/snapshots.md has the measure.
EVERY = 250


class SnapshotManager:
    """
    Loads aggregates by their newest snapshot and the events after it.

    A snapshot only ever saves time: one that is wrong is found, thrown away and replaced from the log. An aggregate is
    `("account", id)`, with a UUID or a name; how its type is folded is registered once, at start-up. `tenant` None is
    the tenant `default`. A load that had to fold `every` events takes a snapshot in the caller's transaction.
    """

    def __init__(self, tenant: Tenant | None = None, *, every: int = EVERY) -> None:
        self._tenant = tenant
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
        plain JSON needs `dump` and `load`. Raise `version` whenever `apply` changes what it makes of old events.
        """
        forms = {name: form for name, form in (("dump", dump), ("load", load)) if form}
        folds.register(Fold(aggregate_type, lambda _: initial(), apply, version, **forms))

    def load_sync(self, aggregate: tuple[str, UUID | str], *, upto: int | None = None) -> Loaded:
        """
        Give the state of an aggregate, as it is or as it was after the event `upto`.

        Raises UnknownFold for a type that nobody registered, and UnreadableLog at an event that cannot be applied.
        """
        return loading.load(self._of(aggregate), upto=upto, every=self._every)

    def take_sync(self, aggregate: tuple[str, UUID | str]) -> bool:
        """Take a snapshot now; False where there is nothing newer to keep."""
        of = self._of(aggregate)
        loaded = loading.load(of, every=self._every)
        return loaded.sequence > 0 and loading.take(of, loaded)

    def verify_sync(self, aggregate: tuple[str, UUID | str]) -> str | None:
        """Compare a snapshot with the log; give the reason for which it was replaced, None where it is right."""
        return loading.verify(self._of(aggregate))

    def discard_sync(self, aggregate: tuple[str, UUID | str]) -> bool:
        """Throw a snapshot away; False where there is none."""
        of = self._of(aggregate)
        kept = store.read(of.id)
        return kept is not None and kept.tenant_id == of.tenant_id and store.discard(kept)

    load = bridge.twin(load_sync)
    take = bridge.twin(take_sync)
    verify = bridge.twin(verify_sync)
    discard = bridge.twin(discard_sync)

    def _of(self, aggregate: tuple[str, UUID | str]) -> Aggregate:
        if self._tenant is None:
            self._tenant = Tenant.objects.get(name=DEFAULT_TENANT)
        kind, key = aggregate
        return Aggregate(str(self._tenant.pk), str(key), folds.get(kind))
