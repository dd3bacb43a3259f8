"""E-mail by Amazon SES, and what it publishes by SNS."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar, Final, cast

import orjson
from django.utils.dateparse import parse_datetime
from pydantic import Field, SecretStr

from engine import ports
from engine.ports import CallFailed, HttpRequest
from marketing.channels import aws, calling, mail
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
from tenants import jsontext
from tenants.errors import InvalidInput

JSON = dict[str, Any]

STATUSES: Final = {
    "Delivery": "delivered",
    "Open": "opened",
    "Click": "clicked",
    "Bounce": "bounced",
    "Complaint": "complained",
    "Reject": "failed",
    "Rendering Failure": "failed",
    "Subscription": "unsubscribed",
}
MAX_TAG: Final = 256


class SesConfig(mail.Sender):
    """Whom messages come from, and from which region."""

    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="As in eu-central-1.")
    configuration_set: str | None = Field(
        None, max_length=64, description="The configuration set that publishes events."
    )
    topic_arn: str | None = Field(
        None, pattern=r"^arn:aws[a-z-]*:sns:", max_length=512, description="The SNS topic that calls back."
    )
    api_url: str | None = destination(None, "Another address of the API.")


class SesCredentials(Settings):
    """A key that may send."""

    access_key_id: str = Field(pattern=r"^[A-Za-z0-9]{16,128}$")
    secret_access_key: SecretStr = Field(min_length=1)


@provider
class Ses:
    """SES's v2 API; its events come from the channel's topic, signed by SNS, whose subscription confirms itself."""

    name: ClassVar[str] = "ses"
    title: ClassVar[str] = "Amazon SES"
    channels: ClassVar[frozenset[str]] = frozenset({"email"})
    takes_keys: ClassVar[bool] = False
    Config: ClassVar = SesConfig
    Credentials: ClassVar = SesCredentials

    def send_many(self, account: Account, messages: Sequence[Outgoing]) -> Sequence[Verdict]:
        """Call once for each message."""
        return calling.each(partial(_send, account), messages)

    def read_callback(self, account: Account, callback: Callback) -> Sequence[Report]:
        """Read what SNS hands on."""
        if account.config.topic_arn is None:
            raise InvalidSignature("the channel has no topic_arn")
        message = _object(callback.body)
        aws.check_sns(message, account.config.topic_arn)
        if message["Type"] == "SubscriptionConfirmation":
            with suppress(CallFailed):
                aws.confirm(str(message.get("SubscribeURL")))
        if message["Type"] != "Notification":
            return []
        try:
            event = _object(str(message.get("Message")).encode())
        except WrongShape:
            # The first words of a new topic are no event.
            return []
        return _reports(event)


def _send(account: Account, message: Outgoing) -> Verdict:
    config = account.config
    base = (config.api_url or f"https://email.{config.region}.amazonaws.com").rstrip("/")
    try:
        recipient = mail.in_ascii(message.recipient)
    except UnicodeError:
        return Permanent("invalid_address", "The address cannot be written as mail servers want it.")
    try:
        raw = cast("Any", mail.compose(config, message).message()).as_bytes(linesep="\r\n")
    except (ValueError, UnicodeError) as error:
        return Permanent("invalid_message", str(error)[:300])
    said: JSON = {
        "Destination": {"ToAddresses": [recipient]},
        "Content": {"Raw": {"Data": b64encode(raw).decode()}},
        "EmailTags": [{"Name": "delivery_id", "Value": message.delivery_id[:MAX_TAG]}],
    }
    if config.configuration_set:
        said["ConfigurationSetName"] = config.configuration_set
    headers = {"Content-Type": "application/json"}
    url = f"{base}/v2/email/outbound-emails"
    request = HttpRequest("POST", url, headers, orjson.dumps(said), calling.TIMEOUT)
    secret = account.credentials.secret_access_key.get_secret_value()
    key_id, now = account.credentials.access_key_id, datetime.now(UTC)
    try:
        answer = ports.bound().http.call(
            aws.sign(request, key_id, secret, region=config.region, service="ses", now=now)
        )
    except CallFailed as failure:
        return calling.of_failure(failure)
    told = calling.content(answer.body)
    if answer.status in calling.OK:
        return Accepted(str(told.get("MessageId") or ""))
    return calling.of_status(answer.status, answer.retry_after, detail=str(told.get("message") or "")[:300])


def _reports(event: JSON) -> list[Report]:
    kind = event.get("eventType") or event.get("notificationType")
    status = STATUSES.get(str(kind))
    about, facts = event.get("mail"), event.get(str(kind).lower().partition(" ")[0])
    if status is None:
        return []
    if not isinstance(about, dict):
        raise WrongShape("an event has a mail")
    facts = facts if isinstance(facts, dict) else {}
    tags = about.get("tags")
    named = tags.get("delivery_id") if isinstance(tags, dict) else None
    words = [facts.get(name) for name in ("bounceType", "bounceSubType", "complaintFeedbackType", "reason")]
    report = Report(
        provider=Ses.name,
        status=status,
        at=_moment(facts.get("timestamp")),
        message_id=str(about.get("messageId") or ""),
        delivery_id=str(named[0]) if isinstance(named, list) and named else "",
        detail=" ".join(str(word) for word in words if word),
        hard=facts.get("bounceType") == "Permanent",
        data={"url": str(facts["link"])} if facts.get("link") else {},
    )
    return [report]


def _moment(text: Any) -> datetime | None:
    try:
        found = parse_datetime(str(text))
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _object(body: bytes) -> JSON:
    try:
        found = jsontext.loads(body)
    except InvalidInput as error:
        raise WrongShape(error.detail) from error
    if not isinstance(found, dict):
        raise WrongShape("the body is an object")
    return found
