"""
E-mail by the services that django-anymail speaks to, each tenant with an account of its own.

Anymail writes the requests and reads the answers and the webhooks; the calls themselves go out by the engine's own
caller, so that private addresses are refused, answers are bounded, and it is known whether a request was written.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final, cast

import requests
from anymail.exceptions import (
    AnymailAPIError,
    AnymailError,
    AnymailInvalidAddress,
    AnymailNotSupportedWarning,
    AnymailRecipientsRefused,
    AnymailWebhookValidationFailure,
)
from anymail.signals import AnymailTrackingEvent
from django.http import HttpRequest as DjangoRequest
from django.utils.module_loading import import_string
from pydantic import Field, SecretStr
from requests.adapters import BaseAdapter

from engine import ports
from engine.ports import CallFailed, HttpRequest
from marketing.channels import calling, mail
from marketing.channels.provider import (
    Accepted,
    Account,
    Callback,
    InvalidSignature,
    Outgoing,
    Permanent,
    Report,
    Settings,
    Unknown,
    Verdict,
    WrongShape,
    destination,
)
from tenants import jsontext
from tenants.errors import InvalidInput

JSON = dict[str, Any]

STATUSES: Final = {
    "sent": "sent",
    "delivered": "delivered",
    "opened": "opened",
    "clicked": "clicked",
    "bounced": "bounced",
    "complained": "complained",
    "unsubscribed": "unsubscribed",
    "rejected": "failed",
    "failed": "failed",
}
# What anymail raises when a body is not what the service documents: it takes things for granted.
MALFORMED: Final = (AnymailError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, OSError)
# Reasons to refuse a message that are about its address.
DEAD: Final = frozenset(("invalid", "bounced", "spam"))
_ABOUT_ADDRESS: Final = re.compile(
    r"personalizations\.\d+\.to\b|'to' parameter|(invalid|valid) ('to'|email) address|invalid email", re.IGNORECASE
)


class EspConfig(mail.Sender):
    """Whom messages come from, and where the service is, if not where it always is."""

    api_url: str | None = destination(None, "Another address of the service's API.")


class WebhookLogin(Settings):
    """The login that a service without signatures calls back with: `https://user:password@…`."""

    webhook_secret: SecretStr | None = Field(
        None, description="`user:password` of the address that the service calls back at."
    )


class Esp:
    """
    The base of these providers: a subclass names anymail's classes, and hands them its settings.

    `is_hard` tells, from the service's own words, whether a bounce says that the address is dead.
    """

    channels: ClassVar[frozenset[str]] = frozenset({"email"})
    takes_keys: ClassVar[bool] = False
    backend: ClassVar[str]
    webhook: ClassVar[str]

    def settings(self, account: Account) -> JSON:
        """The settings of the backend."""
        raise NotImplementedError

    def webhook_settings(self, account: Account) -> JSON | None:
        """The settings of the webhook; None when nothing would prove where a call comes from."""
        secret = getattr(account.credentials, "webhook_secret", None)
        return {"webhook_secret": secret.get_secret_value()} if secret is not None else None

    def is_hard(self, said: JSON) -> bool:
        """Whether a bounce is for good."""
        raise NotImplementedError

    def send_many(self, account: Account, messages: Sequence[Outgoing]) -> Sequence[Verdict]:
        """Hand messages over, several at a time, by connections that are kept."""
        given = self.settings(account)
        if account.config.api_url:
            given["api_url"] = account.config.api_url
        backend = _made(self.backend, given)
        session = requests.Session()
        session.trust_env = False
        for prefix in ("https://", "http://"):
            session.mount(prefix, _Guarded())
        backend.session = session
        return calling.each(lambda message: _send(backend, account, message), messages)

    def read_callback(self, account: Account, callback: Callback) -> Sequence[Report]:
        """Have anymail check and read a webhook."""
        given = self.webhook_settings(account)
        if given is None:
            raise InvalidSignature("the channel has nothing to check callbacks with")
        request = _request(callback)
        try:
            view = _made(self.webhook, {"webhook_secret": [], **given})
            view.run_validators(request)
        except (AnymailWebhookValidationFailure, *MALFORMED) as error:
            raise InvalidSignature(str(error)) from error
        try:
            events = view.parse_events(request)
            return [report for event in events if (report := self._report(event)) is not None]
        except MALFORMED as error:
            raise WrongShape(f"{type(error).__name__}: {error}"[:300]) from error

    def _report(self, event: AnymailTrackingEvent) -> Report | None:
        status = STATUSES.get(event.event_type)
        if status is None:
            return None
        said = event.esp_event if isinstance(event.esp_event, dict) else {}
        hard = self.is_hard(said) if status == "bounced" else status == "failed" and event.reject_reason in DEAD
        metadata = event.metadata if isinstance(event.metadata, dict) else {}
        return Report(
            provider=self.name,  # type: ignore[attr-defined]  # a subclass has one
            status=status,
            at=event.timestamp,
            message_id=str(event.message_id or ""),
            delivery_id=str(metadata.get("delivery_id") or ""),
            detail=str(event.description or event.mta_response or event.reject_reason or ""),
            hard=hard,
            data={"url": str(event.click_url)} if event.click_url else {},
        )


class NotAnswered(requests.RequestException):
    """No answer came; its cause knows whether the request was written. Anymail derives from it, and makes its own."""


class _Guarded(BaseAdapter):
    # Lets requests speak through the engine's caller.
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        body = cast("bytes | str", request.body or b"")
        headers = {str(name): str(value) for name, value in request.headers.items()}
        content = body.encode() if isinstance(body, str) else body
        call = HttpRequest(str(request.method), str(request.url), headers, content, calling.TIMEOUT)
        try:
            answer = ports.bound().http.call(call)
        except CallFailed as failure:
            raise NotAnswered(failure.code) from failure
        response = requests.Response()
        response.status_code, response.url, response.request = answer.status, call.url, request
        response.raw = io.BytesIO(answer.body)
        response.reason, response.encoding = "", "utf-8"
        if answer.retry_after is not None:
            response.headers["Retry-After"] = str(int(answer.retry_after.total_seconds()))
        return response

    def close(self) -> None:
        pass


# Anymail warns that it has no account with SendGrid to test with; we have tests of what SendGrid documents.
def _made(path: str, given: JSON) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AnymailNotSupportedWarning)
        return import_string(path)(**given)


def _send(backend: Any, account: Account, message: Outgoing) -> Verdict:
    try:
        letter: Any = mail.compose(account.config, message)
        mail.annotate(letter, message)
        backend.send_messages([letter])
    except AnymailInvalidAddress as error:
        return Permanent("invalid_address", str(error)[:300])
    except AnymailRecipientsRefused:
        return _refused(letter)
    except AnymailAPIError as error:
        return _of_error(error)
    except (AnymailError, ValueError, TypeError) as error:
        return Permanent("invalid_message", f"{type(error).__name__}: {error}"[:300])
    return _of_status(letter)


def _of_status(letter: Any) -> Verdict:
    status = letter.anymail_status
    states = {each.status for each in status.recipients.values()}
    if states & {"sent", "queued"}:
        return Accepted(str(status.message_id or ""))
    if states & {"invalid", "rejected"}:
        return _refused(letter)
    words = status.esp_response.text[:300]
    # What anymail could make nothing of may have been sent, if the service took it at all.
    taken = status.esp_response.status_code in calling.OK and "failed" not in states
    return Unknown("not_understood", words) if taken else Permanent("refused", words)


def _refused(letter: Any) -> Verdict:
    states = {each.status for each in letter.anymail_status.recipients.values()}
    code = "invalid_address" if "invalid" in states else "suppressed"
    return Permanent(code, "The service refuses this address.", dead_address=True)


def _of_error(error: AnymailAPIError) -> Verdict:
    if isinstance(error.__cause__, NotAnswered) and isinstance(failure := error.__cause__.__cause__, CallFailed):
        return calling.of_failure(failure)
    response = error.response
    if response is None:
        return Permanent("invalid_message", str(error)[:300])
    words = response.text[:300]
    if response.status_code in calling.OK:
        return Permanent("refused", words)
    if response.status_code in {400, 422} and _ABOUT_ADDRESS.search(words):
        return Permanent("invalid_address", words)
    wait = response.headers.get("Retry-After")
    return calling.of_status(response.status_code, timedelta(seconds=int(wait)) if wait else None, detail=words)


# Anymail's views read Django's requests.
def _request(callback: Callback) -> DjangoRequest:
    try:
        jsontext.loads(callback.body)
    except InvalidInput as error:
        raise WrongShape(error.detail) from error
    request = DjangoRequest()
    request.method, request.content_type = "POST", "application/json"
    request.META = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in callback.headers.items()}
    request._body = callback.body  # noqa: SLF001  # where Django keeps it
    return request
