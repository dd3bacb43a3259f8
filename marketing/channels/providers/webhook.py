"""Any system of the tenant's own: each message is a signed call, and what became of it is reported the same way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import ClassVar

import orjson
from pydantic import Field, SecretStr

from engine import ports
from engine.ports import CallFailed, HttpRequest, Signing
from marketing.channels import calling, standard
from marketing.channels.provider import (
    DESTINATION,
    Accepted,
    Account,
    Callback,
    Outgoing,
    Permanent,
    Report,
    Settings,
    Verdict,
)
from marketing.channels.registry import provider
from marketing.models import CHANNELS


class WebhookConfig(Settings):
    """Where messages go."""

    url: str = Field(
        pattern=r"^https?://",
        max_length=2_000,
        description="What is called for each message.",
        json_schema_extra=DESTINATION,
    )
    timeout_seconds: int = Field(20, ge=1, le=60, description="How long an answer may take.")


class WebhookCredentials(Settings):
    """The secret of both sides."""

    secret: SecretStr = Field(min_length=16, description="Signs calls and reports, after Standard Webhooks.")


@provider
class Webhook:
    """
    Calls once for each message; `webhook-id` is the same however often a message is tried.

    An answer may name the message (`message_id`) or say why not (`code`, `detail`, `dead_address`).
    """

    name: ClassVar[str] = "webhook"
    title: ClassVar[str] = "Webhook"
    channels: ClassVar[frozenset[str]] = frozenset(CHANNELS)
    takes_keys: ClassVar[bool] = True
    Config: ClassVar = WebhookConfig
    Credentials: ClassVar = WebhookCredentials

    def send_many(self, account: Account, messages: Sequence[Outgoing]) -> Sequence[Verdict]:
        """Call for each message."""
        return calling.each(partial(_send, account), messages)

    def read_callback(self, account: Account, callback: Callback) -> Sequence[Report]:
        """Read signed reports."""
        return standard.read(self.name, account.credentials.secret, callback)


def _send(account: Account, message: Outgoing) -> Verdict:
    said = {
        "delivery_id": message.delivery_id,
        "channel": message.channel,
        "recipient": message.recipient,
        "participant_id": message.participant_id,
        "message_class": message.message_class,
        "parts": dict(message.parts),
        "headers": dict(message.headers),
        "options": message.options,
    }
    request = HttpRequest(
        "POST",
        account.config.url,
        {"Content-Type": "application/json"},
        orjson.dumps(said),
        timedelta(seconds=account.config.timeout_seconds),
        signing=Signing("standard", account.credentials.secret.get_secret_value(), message.key),
    )
    try:
        answer = ports.bound().http.call(request)
    except CallFailed as failure:
        return calling.of_failure(failure)
    told = calling.content(answer.body)
    if answer.status in calling.OK:
        return Accepted(str(told.get("message_id") or message.delivery_id)[:255])
    code, detail = str(told.get("code") or "")[:64], str(told.get("detail") or "")[:300]
    verdict = calling.of_status(answer.status, answer.retry_after, code, detail)
    if isinstance(verdict, Permanent) and told.get("dead_address") is True:
        return Permanent(verdict.code, verdict.detail, dead_address=True)
    return verdict
