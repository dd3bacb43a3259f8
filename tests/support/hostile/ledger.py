"""A provider that takes no keys and writes down whatever it is handed, in a file that outlives everything."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

from marketing.channels import registry
from marketing.channels.provider import Accepted, InvalidSignature, Outgoing, Settings, Verdict
from tests.support.hostile.nodes import TRACE

# As slow as a provider is, so that a kill finds messages on their way.
TAKES_S = 0.01


class Ledger:
    """Appends the id of each message to the file."""

    name: ClassVar[str] = "ledger"
    title: ClassVar[str] = "Ledger"
    channels: ClassVar[frozenset[str]] = frozenset({"email"})
    takes_keys: ClassVar[bool] = False
    Config: ClassVar[type[Settings]] = Settings
    Credentials: ClassVar[type[Settings]] = Settings

    def send_many(self, account: Any, messages: Sequence[Outgoing]) -> Sequence[Verdict]:
        file = os.open(os.environ[TRACE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            for message in messages:
                os.write(file, f"{message.delivery_id}\n".encode())
                threading.Event().wait(TAKES_S)
        finally:
            os.close(file)
        return [Accepted(f"ledger-{message.delivery_id}") for message in messages]

    def read_callback(self, account: Any, callback: Any) -> Any:
        raise InvalidSignature("nobody calls back")


def register() -> None:
    """Make it known."""
    registry.register(Ledger)
