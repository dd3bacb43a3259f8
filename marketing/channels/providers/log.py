"""The log: a line for each group of messages, and nothing is sent; for demos, samples and first steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import structlog
from pydantic import Field, SecretStr

from marketing.channels import standard
from marketing.channels.provider import Accepted, Account, Callback, Outgoing, Report, Settings, Verdict
from marketing.channels.registry import provider

log = structlog.get_logger(__name__)


class LogConfig(Settings):
    """Nothing to set."""


class LogCredentials(Settings):
    """Only for those who want to report what became of a message."""

    callback_secret: SecretStr | None = Field(
        None, min_length=16, description="What reports are signed with (Standard Webhooks)."
    )


@provider
class Log:
    """Says what would be sent; accepts everything."""

    name: ClassVar[str] = "log"
    title: ClassVar[str] = "Log"
    channels: ClassVar[frozenset[str]] = frozenset({"email", "sms", "push", "whatsapp", "in_app"})
    takes_keys: ClassVar[bool] = True
    Config: ClassVar = LogConfig
    Credentials: ClassVar = LogCredentials

    def send_many(self, account: Account, messages: Sequence[Outgoing]) -> Sequence[Verdict]:
        """Write one line for the group, and one for each message where the level is DEBUG; never an address."""
        log.info("message.logged", tenant=str(account.tenant_id), channel=account.channel, messages=len(messages))
        for message in messages:
            log.debug("message.content", delivery=message.delivery_id, parts=dict(message.parts))
        return [Accepted(f"{PREFIX}{message.delivery_id}") for message in messages]

    def read_callback(self, account: Account, callback: Callback) -> Sequence[Report]:
        """Read signed reports."""
        return standard.read(self.name, account.credentials.callback_secret, callback)


PREFIX: Final = "log-"
