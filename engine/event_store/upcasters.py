"""Old shapes of events, brought to the newest one when they are read; what is stored never changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from engine.errors import UpcastFailed
from engine.event_store.events import INSTANCE, SAGA, Event

JSON = dict[str, Any]
Upcast = Callable[[JSON], JSON]

RESERVED: Final = frozenset((INSTANCE, SAGA))
FIRST_VERSION: Final = 1


@dataclass(slots=True)
class _Chain:
    """What leads an event type of an aggregate type from version to version."""

    steps: dict[int, Upcast] = field(default_factory=dict)

    @property
    def newest(self) -> int:
        return max(self.steps) + 1


# By event type and aggregate type; None stands for every aggregate type of users'.
_chains: Final[dict[tuple[str, str | None], _Chain]] = {}


def register_upcaster(event_type: str, from_version: int, upcast: Upcast, *, aggregate_type: str | None = None) -> None:
    """
    Have the data of events of a version brought to the next version whenever they are read.

    `upcast` takes the data and gives it in the new shape; 1 → 2 and 2 → 3 make a chain. New events are recorded in the
    version that the last of them leads to. Without an aggregate type it holds for every type of users' own that has no
    upcaster for this event type itself. Raises ValueError for a version that has another upcaster already.
    """
    if from_version < FIRST_VERSION:
        raise ValueError(f"Versions count from {FIRST_VERSION}; there is none before, and {from_version} is none.")
    steps = _chains.setdefault((event_type, aggregate_type), _Chain()).steps
    if steps.setdefault(from_version, upcast) is not upcast:
        raise ValueError(f"Events {event_type!r} of version {from_version} have an upcaster already.")


def unregister_upcaster(event_type: str, from_version: int, *, aggregate_type: str | None = None) -> None:
    """Forget an upcaster; one that nobody registered is no error."""
    if chain := _chains.get((event_type, aggregate_type)):
        chain.steps.pop(from_version, None)
        if not chain.steps:
            del _chains[event_type, aggregate_type]


def newest_version(event_type: str, aggregate_type: str) -> int:
    """Give the version in which new events of this type are recorded."""
    chain = _chain_of(event_type, aggregate_type)
    return chain.newest if chain else FIRST_VERSION


def to_newest(event: Event) -> Event:
    """
    Bring an event's data to the newest shape, in place, and give it.

    Raises UpcastFailed, which has the event as far as it came. An event of a newer program is left as it is.
    """
    chain = _chain_of(event.type, event.aggregate_type) if _chains else None
    if chain is not None:
        for version in range(event.schema_version, chain.newest):
            event.data = _step(chain, event, version)
            event.schema_version = version + 1
    return event


def _step(chain: _Chain, event: Event, version: int) -> JSON:
    upcast = chain.steps.get(version)
    if upcast is None:
        raise UpcastFailed(event, f"no upcaster leads from version {version} to {version + 1}")
    try:
        data = upcast(event.data)
    except Exception as error:
        raise UpcastFailed(event, f"the upcaster from version {version} raised {error!r}") from error
    if not isinstance(data, dict):
        raise UpcastFailed(event, f"the upcaster from version {version} gave {type(data).__name__} and no object")
    return data


def _chain_of(event_type: str, aggregate_type: str) -> _Chain | None:
    own = _chains.get((event_type, aggregate_type))
    if own is None and aggregate_type not in RESERVED:
        return _chains.get((event_type, None))
    return own
