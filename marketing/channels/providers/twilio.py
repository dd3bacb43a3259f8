"""SMS and WhatsApp by Twilio."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
from pydantic import Field, SecretStr, model_validator

from engine.ports import CallFailed
from marketing.channels import calling, recipients, returning
from marketing.channels.provider import (
    Accepted,
    Account,
    Callback,
    InvalidSignature,
    Outgoing,
    Permanent,
    Report,
    Settings,
    Verdict,
    WrongShape,
    destination,
)
from marketing.channels.registry import provider

JSON = dict[str, Any]

API: Final = "https://api.twilio.com"
# Twilio's own codes: no such number, or none that gets messages; then those whose owner has said stop.
NO_NUMBER: Final = frozenset((21211, 21214, 21217, 21614, 30005, 30006, 63003, 63024))
STOPPED: Final = frozenset((21610,))
TOO_MANY: Final = frozenset((20429, 14107, 30022, 63018))
STATUSES: Final = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "opened",
    "undelivered": "bounced",
    "failed": "failed",
}


class TwilioConfig(Settings):
    """The account, and the number that messages come from."""

    account_sid: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$", description="The account's SID.")
    from_number: str | None = Field(
        None,
        pattern=r"^\+?[A-Za-z0-9 ]{1,20}$",
        description="The number, or for SMS the name, that messages come from.",
    )
    messaging_service_sid: str | None = Field(
        None, pattern=r"^MG[0-9a-fA-F]{32}$", description="A messaging service, instead of a number."
    )
    api_url: str = destination(API, "The address of Twilio's API.")

    @model_validator(mode="after")
    def _has_a_sender(self) -> TwilioConfig:
        if (self.from_number is None) == (self.messaging_service_sid is None):
            raise ValueError("name from_number or messaging_service_sid, one of the two")
        return self


class TwilioCredentials(Settings):
    """The account's token, which also signs callbacks."""

    auth_token: SecretStr = Field(min_length=1)


@provider
class Twilio:
    """Twilio's Messages API; templates of WhatsApp are `content_sid` and `content_variables` in `provider_opts`."""

    name: ClassVar[str] = "twilio"
    title: ClassVar[str] = "Twilio"
    channels: ClassVar[frozenset[str]] = frozenset({"sms", "whatsapp"})
    takes_keys: ClassVar[bool] = False
    Config: ClassVar = TwilioConfig
    Credentials: ClassVar = TwilioCredentials

    def send_many(self, account: Account, messages: Sequence[Outgoing]) -> Sequence[Verdict]:
        """Call once for each message."""
        return calling.each(partial(_send, account), messages)

    def read_callback(self, account: Account, callback: Callback) -> Sequence[Report]:
        """Read a status callback that is signed with the account's token."""
        said = form(callback)
        _check(callback, said, account.credentials.auth_token.get_secret_value())
        status = said.get("MessageStatus") or said.get("SmsStatus")
        message_id = said.get("MessageSid") or said.get("SmsSid")
        if not status or not message_id:
            raise WrongShape("a callback names its message in MessageSid and how it is in MessageStatus")
        if status not in STATUSES:
            return []
        code = _number(said.get("ErrorCode"))
        report = Report(
            provider=self.name,
            status=STATUSES[status],
            message_id=message_id,
            delivery_id=callback.query.get("delivery_id", ""),
            detail=" ".join(filter(None, (f"{code}" if code else "", said.get("ErrorMessage", "")))),
            hard=code in NO_NUMBER | STOPPED,
            data={"code": code} if code else {},
        )
        return [report]


def form(callback: Callback) -> dict[str, str]:
    """The fields of a callback; raises WrongShape where it is no form."""
    try:
        text = callback.body.decode()
        fields = dict(parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=200))
    except ValueError as error:
        raise WrongShape("the body is not a form") from error
    if any("\0" in text for pair in fields.items() for text in pair):
        raise WrongShape("a field holds the character NUL")
    return fields


def signature(token: str, url: str, fields: dict[str, str]) -> str:
    """What Twilio writes into X-Twilio-Signature."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return b64encode(hmac.digest(token.encode(), signed.encode(), "sha1")).decode()


# Twilio signs the address as it calls it, with the port or without.
def _check(callback: Callback, said: dict[str, str], token: str) -> None:
    urls = {form for url in returning.spellings(callback.url) for form in _with_port_and_without(url)}
    given = callback.headers.get("x-twilio-signature", "").encode()
    right = [hmac.compare_digest(signature(token, url, said).encode(), given) for url in urls]
    if True not in right:
        raise InvalidSignature("X-Twilio-Signature is not right")


def _with_port_and_without(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return url, parts._replace(netloc=host).geturl(), parts._replace(netloc=f"{host}:{port}").geturl()


def _send(account: Account, message: Outgoing) -> Verdict:
    config, token = account.config, account.credentials.auth_token.get_secret_value()
    url = f"{config.api_url.rstrip('/')}/2010-04-01/Accounts/{config.account_sid}/Messages.json"
    login = b64encode(f"{config.account_sid}:{token}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/x-www-form-urlencoded"}
    try:
        answer = calling.post(url, urlencode(_fields(account, message)).encode(), headers)
    except CallFailed as failure:
        return calling.of_failure(failure)
    told = calling.content(answer.body)
    if answer.status in calling.OK:
        return Accepted(str(told.get("sid") or ""))
    code = _number(told.get("code"))
    detail = f"{code or ''} {told.get('message', '')}".strip()[:300]
    if code in NO_NUMBER:
        return Permanent("invalid_address", detail, dead_address=True)
    if code in STOPPED:
        return Permanent("suppressed", detail, dead_address=True)
    if code in TOO_MANY:
        return calling.of_status(calling.TOO_MANY, answer.retry_after, detail=detail)
    return calling.of_status(answer.status, answer.retry_after, f"twilio_{code}" if code else "", detail)


def _fields(account: Account, message: Outgoing) -> dict[str, str]:
    config, options = account.config, message.options
    prefix = "whatsapp:" if message.channel == "whatsapp" else ""
    fields = {"To": prefix + recipients.normalised(message.channel, message.recipient)}
    if config.messaging_service_sid:
        fields["MessagingServiceSid"] = config.messaging_service_sid
    else:
        fields["From"] = prefix + config.from_number
    if isinstance(options.get("content_sid"), str):
        fields["ContentSid"] = options["content_sid"]
        if variables := options.get("content_variables"):
            fields["ContentVariables"] = orjson.dumps(variables).decode()
    else:
        fields["Body"] = message.parts.get("text", "")
    if isinstance(options.get("media_url"), str):
        fields["MediaUrl"] = options["media_url"]
    if url := returning.callback_url(account, delivery_id=message.delivery_id):
        fields["StatusCallback"] = url
    return fields


def _number(value: Any) -> int | None:
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("1000000000") else None
