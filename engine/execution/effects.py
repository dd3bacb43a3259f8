"""What inline nodes want done outside of their runs: through the ports, in the transaction that records the nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from engine import ports
from engine.execution.burst import Burst
from engine.message_caps import Reservation

Write = Callable[[str, Sequence[Any]], Any]


def write(bursts: Iterable[Burst]) -> None:
    """Write what the bursts gathered: once per tenant and kind, however many they are."""
    gathered: dict[str, list[Any]] = defaultdict(list)
    for burst in bursts:
        if burst.effects:
            gathered[burst.state.tenant_id] += burst.effects
    for tenant_id, effects in gathered.items():
        write_of(tenant_id, effects)


def withdraw(bursts: Iterable[Burst]) -> None:
    """Take back the messages of runs that were ended from outside; no statement where there are none."""
    gathered: dict[str, list[str]] = defaultdict(list)
    for burst in bursts:
        if burst.withdrawn:
            gathered[burst.state.tenant_id] += burst.withdrawn
    for tenant_id, delivery_ids in gathered.items():
        ports.bound().messages.cancel_many(tenant_id, delivery_ids)


def write_of(tenant_id: str, effects: Sequence[Any]) -> None:
    """Write effects of one tenant, kind by kind, each in its order."""
    bound = ports.bound()
    writers: dict[type, Write] = {
        ports.ProfileChange: bound.profiles.change_many,
        # A slot is there before the message that uses it up.
        Reservation: bound.caps.reserve_many,
        ports.Message: bound.messages.enqueue_many,
        ports.Conversion: bound.conversions.record_many,
    }
    if strangers := {type(each).__name__ for each in effects} - {kind.__name__ for kind in writers}:
        raise TypeError(f"No port takes {', '.join(sorted(strangers))}.")
    for kind, hand_over in writers.items():
        if found := [each for each in effects if isinstance(each, kind)]:
            hand_over(tenant_id, found)
