"""How snapshots and replay fold a saga: the loop's own `apply`, and its state as JSON."""

from __future__ import annotations

from typing import Any

from engine.event_store.events import SAGA
from engine.sagas.state import SagaState, apply
from engine.snapshots import records
from engine.snapshots.folds import Fold

# Raised with every change of `apply` after which an older state would not be what the log says.
STATE_VERSION = 1

_TIMES = records.times_of(SagaState)


def initial(run_id: str) -> SagaState:
    """Make the state before the first event."""
    return SagaState(id=run_id)


def dump(state: SagaState) -> dict[str, Any]:
    """Give a state as JSON."""
    return records.dump(state, _TIMES)


def load(found: dict[str, Any]) -> SagaState:
    """Make a state of its JSON."""
    return records.load(SagaState, _TIMES, found)


FOLD = Fold(SAGA, initial, apply, version=STATE_VERSION, dump=dump, load=load)
