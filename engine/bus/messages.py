"""Events on their way: checked when they are published, kept as JSON until their handler is called."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from engine import clock, event_form, values
from engine.bus import context
from engine.errors import InvalidEvent
from engine.event_store.events import NEVER, Event
from tenants.ids import uuid7

JSON = dict[str, Any]


def addressed(event: Event, tenant_id: str) -> Event:
    """Give the event with all that its publisher may leave out; InvalidEvent for what no handler could be told."""
    if not isinstance(event, Event):
        raise InvalidEvent(f"An Event is published, not {type(event).__name__}.")
    if event.tenant_id and str(event.tenant_id) != tenant_id:
        raise InvalidEvent("The event is of another tenant than the bus.", attr="tenant_id")
    if not event_form.is_name(event.type):
        raise InvalidEvent("An event's type is a text of 1 to 255 characters.", attr="type")
    for name in ("data", "metadata"):
        if not isinstance(getattr(event, name), dict):
            raise InvalidEvent(f"An event's {name} is a dict.", attr=name)
    return replace(
        event,
        data=_kept(event.data, "data"),
        metadata=_kept(context.inherited(event.metadata), "metadata"),
        event_id=_text(event.event_id or uuid7(), "event_id"),
        tenant_id=tenant_id,
        aggregate_type=_text(event.aggregate_type, "aggregate_type"),
        aggregate_id=_text(event.aggregate_id, "aggregate_id"),
        at=clock.now() if event.at == NEVER else event.at,
    )


def pack(event: Event) -> JSON:
    """Give the event as an activity's input keeps it."""
    return asdict(event)


def unpack(kept: JSON) -> Event:
    """Give the event back."""
    return Event(**kept | {"at": datetime.fromisoformat(kept["at"])})


def copy(event: Event) -> Event:
    """Give a handler an event of its own: what it changes in there is nobody else's."""
    return replace(event, data=deepcopy(event.data), metadata=deepcopy(event.metadata))


# What handlers see is what another process would see, whichever of the two it is told in.
def _kept(value: JSON, attr: str) -> JSON:
    try:
        found: JSON = values.kept(value)
    except values.NotJson as problem:
        raise InvalidEvent(f"{attr}: {problem}", attr=attr) from None
    return found


def _text(value: Any, attr: str) -> str:
    text = str(value)
    if len(text) > event_form.MAX_LENGTH or "\0" in text or _is_broken(text):
        raise InvalidEvent(f"{attr} is a text of at most {event_form.MAX_LENGTH} characters.", attr=attr)
    return text


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
