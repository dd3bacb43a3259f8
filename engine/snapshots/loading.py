"""
Load an aggregate: its newest snapshot and the events after it, or all events where no snapshot can be trusted.

A snapshot that is not whole, of other code, beyond the log, of something else, or that the events after it do not fit,
is thrown away and replaced from the log. What the log itself says wrong is raised, and never applied.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import structlog
from django.db import Error, transaction

from engine import clock, errors
from engine.event_store.events import Event
from engine.snapshots import counts, log, store
from engine.snapshots.folds import Fold
from engine.snapshots.store import Kept

logger = structlog.get_logger(__name__)

# Why a snapshot is thrown away.
DIGEST: Final = "digest"
VERSION: Final = "version"
IDENTITY: Final = "identity"
UNDECODABLE: Final = "undecodable"
BEYOND: Final = "beyond_the_log"
STATE: Final = "state"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Which aggregate, whose, and how it is folded."""

    tenant_id: str
    id: str
    fold: Fold

    def events(self, *, first: int = 1, last: int | None = None) -> Iterable[Event]:
        """Give its log, or a part of it."""
        return log.read(self.tenant_id, self.fold.aggregate_type, self.id, first=first, last=last)


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    The state of an aggregate after the event `sequence`; 0 where it has none.

    `snapshot` is the sequence of the snapshot it was made of, 0 without one, and `events` counts what was folded.
    """

    state: Any
    sequence: int
    snapshot: int = 0
    events: int = 0


def load(aggregate: Aggregate, *, upto: int | None = None, every: int) -> Loaded:
    """
    Load an aggregate as it is, or as it was after the event `upto`.

    A new snapshot is taken where `every` events or more had to be folded. Raises UnreadableLog where the log has an
    event that has no place in it.
    """
    kept = store.read(aggregate.id)
    wrong = defect(kept, aggregate) if kept else None
    loaded = None
    if kept and not wrong and kept.state_version == aggregate.fold.version and not _is_later(kept, upto):
        loaded, wrong = _from_snapshot(kept, aggregate, upto)
    if loaded is None:
        loaded = fold(aggregate, aggregate.events(last=upto))
    if kept and wrong and loaded.sequence:
        throw_away(kept, wrong)
    if upto is None and loaded.sequence and (wrong or loaded.events >= every):
        take(aggregate, loaded, wrong=kept.digest if kept and wrong else None)
    return loaded


def fold(aggregate: Aggregate, events: Iterable[Event], *, state: Any = None, sequence: int = 0) -> Loaded:
    """Fold events into a state, or into the initial one; raise UnreadableLog at the first that has no place."""
    began = sequence
    if not began:
        state = aggregate.fold.initial(aggregate.id)
    for event in events:
        if event.sequence != sequence + 1:
            raise errors.UnreadableLog(
                f"Event {event.sequence} ({event.type}) of {aggregate.fold.aggregate_type} {aggregate.id} follows"
                f" {sequence}.",
                sequence=event.sequence,
            )
        try:
            state = aggregate.fold.apply(state, event)
        except Exception as error:
            raise errors.UnreadableLog(
                f"Event {event.sequence} ({event.type}) of {aggregate.fold.aggregate_type} {aggregate.id} cannot be"
                f" applied: {error!r}",
                sequence=event.sequence,
            ) from error
        sequence = event.sequence
    return Loaded(state, sequence, began, sequence - began)


def take(aggregate: Aggregate, loaded: Loaded, *, wrong: str | None = None) -> bool:
    """Keep a state as the aggregate's snapshot; what goes wrong is logged, for nobody depends on it."""
    try:
        text = store.as_text(aggregate.fold.dump(loaded.state))
        kept = Kept(
            aggregate.id, aggregate.tenant_id, aggregate.fold.aggregate_type, loaded.sequence,
            aggregate.fold.version, text, "", is_whole=True,
        )  # fmt: skip
        with transaction.atomic():
            done = store.keep(kept, now=clock.now(), wrong=wrong)
    except (Error, TypeError, ValueError) as error:
        counts.count(counts.NOT_TAKEN)
        logger.warning("snapshot.not_taken", **_names(aggregate), sequence=loaded.sequence, error=repr(error))
        return False
    if done:
        counts.count(counts.TAKEN)
    return done


def throw_away(kept: Kept, reason: str) -> None:
    """Count and log a wrong snapshot, and delete it where that is possible at once."""
    counts.thrown_away(reason)
    names = {"aggregate_type": kept.aggregate_type, "aggregate_id": kept.aggregate_id}
    logger.warning("snapshot.thrown_away", **names, sequence=kept.sequence, reason=reason)
    try:
        with transaction.atomic():
            store.discard(kept)
    except Error as error:
        logger.warning("snapshot.not_deleted", **names, error=repr(error))


def restore(kept: Kept, to: Fold) -> Any:
    """Make the state of a snapshot; raises whatever the fold's `load` raises."""
    return to.load(orjson.loads(kept.state))


def verify(aggregate: Aggregate) -> str | None:
    """
    Compare an aggregate's snapshot with its log; give the reason for which it was replaced, None where it is right.

    Raises UnreadableLog where the log itself is wrong.
    """
    kept = store.read(aggregate.id)
    if kept is None or kept.state_version > aggregate.fold.version:
        return None
    wrong = defect(kept, aggregate) or _difference(kept, aggregate)
    exists = _exists(aggregate)
    if wrong is None or (wrong == IDENTITY and not exists):
        return None
    throw_away(kept, wrong)
    if exists:
        take(aggregate, fold(aggregate, aggregate.events()), wrong=kept.digest)
    return wrong


def _difference(kept: Kept, aggregate: Aggregate) -> str | None:
    told = fold(aggregate, aggregate.events(last=kept.sequence))
    if told.sequence != kept.sequence:
        return BEYOND
    try:
        restored = aggregate.fold.dump(restore(kept, aggregate.fold))
    except Exception:  # noqa: BLE001  # whatever users' own `load` raises
        return UNDECODABLE
    return None if restored == aggregate.fold.dump(told.state) else STATE


def _exists(aggregate: Aggregate) -> bool:
    return next(iter(aggregate.events(last=1)), None) is not None


def defect(kept: Kept, aggregate: Aggregate) -> str | None:
    """Say what is wrong with a snapshot by itself, without the log."""
    if not kept.is_whole:
        return DIGEST
    if (kept.tenant_id, kept.aggregate_type) != (aggregate.tenant_id, aggregate.fold.aggregate_type):
        return IDENTITY
    # One of newer code stays: during a deployment both are there, and only the older one is of no use to anybody.
    return VERSION if kept.state_version < aggregate.fold.version else None


def _is_later(kept: Kept, upto: int | None) -> bool:
    return upto is not None and kept.sequence > upto


def _from_snapshot(kept: Kept, aggregate: Aggregate, upto: int | None) -> tuple[Loaded | None, str | None]:
    try:
        state = restore(kept, aggregate.fold)
    except Exception as error:  # noqa: BLE001  # whatever users' own `load` raises
        logger.warning("snapshot.undecodable", **_names(aggregate), error=repr(error))
        return None, UNDECODABLE
    # With the event that the snapshot was taken after: it has to be there.
    tail = iter(aggregate.events(first=max(kept.sequence, 1), last=upto))
    if getattr(next(tail, None), "sequence", None) != kept.sequence:
        return None, BEYOND
    try:
        loaded = fold(aggregate, tail, state=state, sequence=kept.sequence)
    except errors.UnreadableLog:
        # Either of the two is wrong: the log is read from its beginning to tell which.
        return None, STATE
    counts.count(counts.USED)
    return replace(loaded, snapshot=kept.sequence), None


def _names(aggregate: Aggregate) -> dict[str, str]:
    return {"aggregate_type": aggregate.fold.aggregate_type, "aggregate_id": aggregate.id}
