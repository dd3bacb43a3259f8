"""One aggregate: folded event by event, once from the first and once more from its snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson

from engine.errors import UpcastFailed
from engine.event_store.events import Event
from engine.event_store.rows import event_of
from engine.snapshots import loading
from engine.snapshots.folds import Fold
from engine.snapshots.store import Kept
from engine.verify.differences import Difference
from engine.verify.subjects import Subject
from flows.errors import IllegalTransition

JSON = dict[str, Any]


class Rebuilding:
    """
    The fold of one aggregate's events, beside its snapshot.

    `found` gathers what does not agree; after an event that has no place in the log nothing more is applied. `wrong` is
    the reason to throw the snapshot away.
    """

    def __init__(self, fold: Fold, aggregate_id: str, kept: Kept | None) -> None:
        self.fold = fold
        self.id = aggregate_id
        self.kept = kept
        self.found: list[Difference] = []
        self.wrong: str | None = None
        self.tenants: set[str] = set()
        self.sequence = 0
        self.state: Any = fold.initial(aggregate_id)
        self.with_snapshot: Any = None
        self._has_both = False
        self._is_broken = False
        self._place = (0, 0)

    def run(self, stored: Iterable[Any]) -> None:
        """Fold every event, as they are stored."""
        usable = self._check_snapshot()
        for row in stored:
            if not self._is_broken:
                self._take(row, usable)
        if self._is_broken:
            return
        if usable and usable.sequence > self.sequence:
            self._refuse_snapshot(f"It is of event {usable.sequence}; the last is {self.sequence}.", loading.BEYOND)
        self._compare_both()

    def differ(self, field: str, detail: str, row: Any = None, events: Any = None) -> None:
        """Note a difference."""
        self.found.append(Difference(self.fold.aggregate_type, self.id, field, detail, row, events))

    def compare(self, subject: Subject, row: Mapping[str, Any]) -> None:
        """Compare the stored row with the state."""
        if self._is_broken:
            return
        for other in sorted(self.tenants - {row["tenant_id"]}):
            self.differ("tenant_id", "Events belong to another tenant than the row.", row["tenant_id"], other)
        for name in subject.columns:
            stored = row[name]
            if name in subject.json and stored is not None:
                stored = orjson.loads(stored)
            told = getattr(self.state, name)
            if _plain(stored) != _plain(told):
                self.differ(name, f"{name} is not what the events say.", _plain(stored), _plain(told))

    # A second event is made for the second fold: the two states must not share what either may change.
    def _take(self, row: Any, usable: Kept | None) -> None:
        try:
            event = event_of(row)
        except UpcastFailed as failure:
            self._break("illegal_event", failure.detail)
            return
        self._follow(event)
        self._apply(event)
        if self._has_both and not self._is_broken:
            self._apply_to_second(event_of(row))
        if usable and usable.sequence == self.sequence and not self._is_broken:
            self._open(usable)

    def _follow(self, event: Event) -> None:
        where = f"Event {event.sequence} ({event.type})"
        if event.sequence != self.sequence + 1:
            self._break("gap", f"{where} follows {self.sequence}.")
        elif (event.tx, event.position) <= self._place:
            self._break("order", f"{where} comes before its predecessor in the global order.")
        self.tenants.add(event.tenant_id)
        self.sequence, self._place = event.sequence, (event.tx, event.position)

    def _apply(self, event: Event) -> None:
        if self._is_broken:
            return
        where = f"Event {event.sequence} ({event.type})"
        try:
            self.state = self.fold.apply(self.state, event)
        except IllegalTransition as refusal:
            self._break("illegal_event", f"{where} is not allowed: {refusal.detail}")
        except Exception as error:  # noqa: BLE001  # whatever a fold makes of an event that does not fit
            self._break("illegal_event", f"{where} does not fit what came before it: {error!r}")

    def _apply_to_second(self, event: Event) -> None:
        try:
            self.with_snapshot = self.fold.apply(self.with_snapshot, event)
        except Exception as error:  # noqa: BLE001  # likewise
            self._refuse_snapshot(f"Event {event.sequence} ({event.type}) cannot be applied to it: {error!r}")

    def _break(self, field: str, detail: str) -> None:
        self._is_broken = True
        self.differ(field, detail)

    # The snapshot, where it is whole and of this code; one of other code is no use to anybody here, and no harm.
    def _check_snapshot(self) -> Kept | None:
        if self.kept is None or self.kept.state_version != self.fold.version:
            return None
        if not self.kept.is_whole:
            self._refuse_snapshot("Its digest is not that of what is stored.", loading.DIGEST)
            return None
        if self.kept.aggregate_type != self.fold.aggregate_type:
            self._refuse_snapshot(f"It is of a {self.kept.aggregate_type}.", loading.IDENTITY)
            return None
        return self.kept

    def _open(self, usable: Kept) -> None:
        if usable.tenant_id not in self.tenants:
            self._refuse_snapshot("It is of another tenant than the events.", loading.IDENTITY)
            return
        try:
            self.with_snapshot = loading.restore(usable, self.fold)
        except Exception as error:  # noqa: BLE001  # whatever users' own `load` raises
            self._refuse_snapshot(f"It cannot be decoded: {error!r}", loading.UNDECODABLE)
            return
        self._has_both = True
        self._compare_both()

    def _compare_both(self) -> None:
        if not self._has_both:
            return
        kept, told = self.fold.dump(self.with_snapshot), self.fold.dump(self.state)
        if kept != told:
            detail = f"At event {self.sequence} it says otherwise than the log: {', '.join(_names(kept, told))}."
            self._refuse_snapshot(detail, kept=kept, told=told)

    def _refuse_snapshot(self, detail: str, reason: str = loading.STATE, *, kept: Any = None, told: Any = None) -> None:
        self._has_both = False
        self.wrong = reason
        if isinstance(kept, dict) and isinstance(told, dict):
            names = list(_names(kept, told))
            kept, told = {name: kept.get(name) for name in names}, {name: told.get(name) for name in names}
        self.differ("snapshot", detail, kept, told)


# Which parts of two states differ; states that are no objects differ as a whole.
def _names(kept: Any, told: Any) -> Iterator[str]:
    if isinstance(kept, dict) and isinstance(told, dict):
        yield from (name for name in sorted({*kept, *told}) if kept.get(name) != told.get(name))
    else:
        yield "state"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
