"""The protocol of a provider: what it is told, what it answers at once, and what it reports later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

JSON = dict[str, Any]


class InvalidSignature(Exception):
    """A callback does not come from the provider; the message is for logs, not for its sender."""


class WrongShape(Exception):
    """A callback is not written as its provider writes them; the message says what is missing."""


class Settings(BaseModel):
    """The base of a provider's Config and Credentials: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


# Marks the fields of a config that say where credentials are sent.
DESTINATION: Final[dict[str, JsonValue]] = {"destination": True}


def destination(default: str | None, description: str) -> Any:
    """Make the field that holds the address of a service's API; it changes with the credentials only."""
    return Field(default, pattern=r"^https?://", max_length=500, description=description, json_schema_extra=DESTINATION)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """
    One message as a provider gets it, rendered and addressed.

    `key` is the same however often the message is handed over. `parts` are subject, html, text, body, title and so on;
    `options` the node's `provider_opts`, which a provider reads with care: flows are written by tenants.
    """

    delivery_id: str
    key: str
    channel: str
    recipient: str
    participant_id: str
    parts: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    message_class: str = "marketing"
    options: JSON = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has taken the message; `message_id` is its own name for it, which reports may use."""

    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Transient:
    """The provider has certainly not taken the message, and may another time."""

    code: str
    detail: str = ""
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Permanent:
    """The provider refuses the message for good; `dead_address`: it would refuse any other to this address too."""

    code: str
    detail: str = ""
    dead_address: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether the provider has taken the message: the answer got lost after the request was written."""

    code: str
    detail: str = ""


Verdict = Accepted | Transient | Permanent | Unknown


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant's account with a provider; its credentials are never shown. What is built in has no `channel_id`."""

    channel_id: UUID | None
    tenant_id: UUID
    channel: str
    provider: Provider
    config: Any = None
    credentials: Any = field(default=None, repr=False)
    rate_per_second: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Callback:
    """A provider's call as it came in; `url` is the public one, headers are found in lower case."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Report:
    """
    What a provider says of a message it took: named by its own `message_id`, or by our `delivery_id`.

    `status` is sent, delivered, opened, clicked, bounced, complained, failed or unsubscribed. `hard`: the address is
    dead. `data` (`url`, `code`) goes into the event.
    """

    provider: str
    status: str
    at: datetime | None = None
    message_id: str = ""
    delivery_id: str = ""
    detail: str = ""
    hard: bool = False
    data: JSON = field(default_factory=dict)


class Provider(Protocol):
    """
    Carries messages of some channels.

    `takes_keys`: the same key twice is one message there, so that an unknown outcome may be tried again.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    channels: ClassVar[frozenset[str]]
    takes_keys: ClassVar[bool]
    Config: ClassVar[type[BaseModel]]
    Credentials: ClassVar[type[BaseModel]]

    def send_many(self, account: Account, messages: Sequence[Outgoing]) -> Sequence[Verdict]:
        """Hand messages over and give the verdict of each, in order; never raises for a message. No transaction."""

    def read_callback(self, account: Account, callback: Callback) -> Sequence[Report]:
        """Give what a callback reports; raises InvalidSignature or WrongShape."""
