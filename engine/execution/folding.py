"""How snapshots and replay fold an instance: the loop's own `apply`, and its state as JSON."""

from __future__ import annotations

from typing import Any

from engine.event_store.events import INSTANCE
from engine.execution.state import InstanceState, apply
from engine.snapshots import records
from engine.snapshots.folds import Fold

# Raised with every change of `apply` after which an older state would not be what the log says.
STATE_VERSION = 1

_TIMES = records.times_of(InstanceState)


def initial(instance_id: str) -> InstanceState:
    """Make the state before the first event."""
    return InstanceState(id=instance_id)


def dump(state: InstanceState) -> dict[str, Any]:
    """Give a state as JSON. Tokens go as a list: they have an order, which the names of an object lose in jsonb."""
    return records.dump(state, _TIMES) | {"tokens": state.current_nodes}


def load(found: dict[str, Any]) -> InstanceState:
    """Make a state of its JSON."""
    tokens = {each["node_id"]: each for each in found["tokens"]}
    return records.load(InstanceState, _TIMES, {**found, "tokens": tokens})


FOLD = Fold(INSTANCE, initial, apply, version=STATE_VERSION, dump=dump, load=load)
