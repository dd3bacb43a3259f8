"""E-mail by SendGrid."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SecretStr

from marketing.channels.anymail import Esp, EspConfig
from marketing.channels.provider import Account, Settings
from marketing.channels.registry import provider

JSON = dict[str, Any]


class SendgridConfig(EspConfig):
    """Whom messages come from, and how callbacks are known."""

    verification_key: str | None = Field(
        None, max_length=1_000, pattern=r"^[A-Za-z0-9+/=\s]+$", description="The public key of the event webhook."
    )


class SendgridCredentials(Settings):
    """The key of the API."""

    api_key: SecretStr = Field(min_length=1)


@provider
class Sendgrid(Esp):
    """SendGrid's v3 API and its signed event webhook."""

    name: ClassVar[str] = "sendgrid"
    title: ClassVar[str] = "SendGrid"
    backend: ClassVar[str] = "anymail.backends.sendgrid.EmailBackend"
    webhook: ClassVar[str] = "anymail.webhooks.sendgrid.SendGridTrackingWebhookView"
    Config: ClassVar = SendgridConfig
    Credentials: ClassVar = SendgridCredentials

    def settings(self, account: Account) -> JSON:
        """Its API key."""
        return {"api_key": account.credentials.api_key.get_secret_value()}

    def webhook_settings(self, account: Account) -> JSON | None:
        """Its public key."""
        key = account.config.verification_key
        return {"tracking_webhook_verification_key": "".join(key.split())} if key else None

    def is_hard(self, said: JSON) -> bool:
        """Blocked is for now; a bounce is for good."""
        return said.get("type") != "blocked"
