"""E-mail by Mailgun."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr

from marketing.channels.anymail import Esp, EspConfig
from marketing.channels.provider import Account, Settings
from marketing.channels.registry import provider

JSON = dict[str, Any]


class MailgunConfig(EspConfig):
    """Whom messages come from, and by which domain."""

    sender_domain: str = Field(pattern=r"^[A-Za-z0-9.-]{1,255}$", description="The domain that Mailgun sends by.")
    region: Literal["us", "eu"] = Field("us", description="Where the domain is kept.")


class MailgunCredentials(Settings):
    """The key of the API, and the one that webhooks are signed with."""

    api_key: SecretStr = Field(min_length=1)
    webhook_signing_key: SecretStr | None = None


@provider
class Mailgun(Esp):
    """Mailgun's API and its signed webhooks."""

    name: ClassVar[str] = "mailgun"
    title: ClassVar[str] = "Mailgun"
    backend: ClassVar[str] = "anymail.backends.mailgun.EmailBackend"
    webhook: ClassVar[str] = "anymail.webhooks.mailgun.MailgunTrackingWebhookView"
    Config: ClassVar = MailgunConfig
    Credentials: ClassVar = MailgunCredentials

    def settings(self, account: Account) -> JSON:
        """Its key, domain and region."""
        host = "api.eu.mailgun.net" if account.config.region == "eu" else "api.mailgun.net"
        return {
            "api_key": account.credentials.api_key.get_secret_value(),
            "sender_domain": account.config.sender_domain,
            "api_url": f"https://{host}/v3",
        }

    def webhook_settings(self, account: Account) -> JSON | None:
        """Its signing key, which is not the API's."""
        key = account.credentials.webhook_signing_key
        return {"webhook_signing_key": key.get_secret_value(), "api_key": None} if key is not None else None

    def is_hard(self, said: JSON) -> bool:
        """Permanent failures; an address that Mailgun suppresses is one of them."""
        about = said.get("event-data")
        return isinstance(about, dict) and about.get("severity") == "permanent"
