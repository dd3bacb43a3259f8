"""A base for aggregates of one's own: decide, record what happened, and let the state follow from the events."""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import deepcopy
from typing import Any, ClassVar, Self
from uuid import UUID

from engine.errors import UnfoldedEvent
from engine.event_store.events import Event

JSON = dict[str, Any]

_NO_NAME = re.compile(r"\W")


class Aggregate:
    """
    Something whose state is what its events say.

    A subclass names its `type`, gives the state before the first event in `initial`, decides in methods that call
    `record`, and says in `when_<type of event>` what an event does to `state`. The state is plain JSON, and nothing but
    `when_…` changes it: so it can be kept in a snapshot, and made anew at any time.
    """

    type: ClassVar[str]

    def __init__(self, id: UUID | str, state: JSON | None = None, sequence: int = 0) -> None:  # noqa: A002  # its name
        self.id = id
        self.state = self.initial() if state is None else state
        self.sequence = sequence
        self.new: list[Event] = []

    @classmethod
    def initial(cls) -> JSON:
        """Give the state before the first event, a new object at each call."""
        return {}

    @classmethod
    def apply(cls, state: JSON, event: Event) -> JSON:
        """Fold one event into a state, which is used up, and give the state after it."""
        return cls.fold(state, (event,))

    @classmethod
    def fold(cls, state: JSON | None, events: Iterable[Event]) -> JSON:
        """Fold events into a state, which is used up; None is the state before the first event."""
        folded = cls("", state)
        for event in events:
            folded._follow(event)
        return folded.state

    @property
    def saved(self) -> int:
        """The sequence of the last event that the log has of it, as far as this copy knows."""
        return self.sequence - len(self.new)

    def record(self, event_type: str, /, **data: Any) -> None:
        """Let something have happened: the state follows at once, the log when it is saved."""
        event = Event(event_type, deepcopy(data))
        # The state may keep what it is given and change it later; what happened does not change.
        self._follow(Event(event_type, deepcopy(data)))
        self.new.append(event)
        self.sequence += 1

    def replay(self, events: Iterable[Event]) -> Self:
        """Follow events that were recorded."""
        for event in events:
            self._follow(event)
            self.sequence = event.sequence
        return self

    def _follow(self, event: Event) -> None:
        when = getattr(self, f"when_{_NO_NAME.sub('_', event.type)}", None)
        if when is None:
            raise UnfoldedEvent(f"{type(self).__name__} does not say what {event.type!r} does to its state.")
        when(event)
