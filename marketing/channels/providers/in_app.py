"""The in-app inbox: what is sent is stored, and the app fetches it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from marketing.channels.provider import (
    Accepted,
    Account,
    Callback,
    InvalidSignature,
    Outgoing,
    Report,
    Settings,
    Verdict,
)
from marketing.channels.registry import provider


class NothingToSet(Settings):
    """The inbox is in our own tables."""


@provider
class InApp:
    """Accepts everything: the delivery's own row is the message in the inbox."""

    name: ClassVar[str] = "in_app"
    title: ClassVar[str] = "In-app inbox"
    channels: ClassVar[frozenset[str]] = frozenset({"in_app"})
    takes_keys: ClassVar[bool] = True
    Config: ClassVar = NothingToSet
    Credentials: ClassVar = NothingToSet

    def send_many(self, account: Account, messages: Sequence[Outgoing]) -> Sequence[Verdict]:
        """Take them; there is nothing to do."""
        return [Accepted(message.delivery_id) for message in messages]

    def read_callback(self, account: Account, callback: Callback) -> Sequence[Report]:
        """Nobody reports: apps tell what was read over the API."""
        raise InvalidSignature("the inbox has no callbacks")
