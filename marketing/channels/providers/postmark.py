"""E-mail by Postmark."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from pydantic import Field, SecretStr

from marketing.channels.anymail import Esp, EspConfig, WebhookLogin
from marketing.channels.provider import Account
from marketing.channels.registry import provider

JSON = dict[str, Any]

HARD: Final = frozenset(("HardBounce", "BadEmailAddress"))


class PostmarkConfig(EspConfig):
    """Whom messages come from, and by which stream."""

    message_stream: str | None = Field(None, max_length=100, description="The message stream; the default one if not.")


class PostmarkCredentials(WebhookLogin):
    """The token of the server."""

    server_token: SecretStr = Field(min_length=1)


@provider
class Postmark(Esp):
    """Postmark's API and its webhooks, which come with a login."""

    name: ClassVar[str] = "postmark"
    title: ClassVar[str] = "Postmark"
    backend: ClassVar[str] = "anymail.backends.postmark.EmailBackend"
    webhook: ClassVar[str] = "anymail.webhooks.postmark.PostmarkTrackingWebhookView"
    Config: ClassVar = PostmarkConfig
    Credentials: ClassVar = PostmarkCredentials

    def settings(self, account: Account) -> JSON:
        """Its token and stream."""
        token = account.credentials.server_token.get_secret_value()
        return {"server_token": token, "message_stream": account.config.message_stream}

    def is_hard(self, said: JSON) -> bool:
        """By the type of the bounce, or because Postmark sends nothing more there."""
        return said.get("Type") in HARD or said.get("Inactive") is True
