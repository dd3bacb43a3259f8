"""Push by Firebase Cloud Messaging, HTTP v1."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field, SecretStr, field_validator

from engine.ports import CallFailed, HttpResponse
from marketing.channels import calling, standard
from marketing.channels.provider import (
    Accepted,
    Account,
    Callback,
    Outgoing,
    Permanent,
    Report,
    Settings,
    Transient,
    Unknown,
    Verdict,
    destination,
)
from marketing.channels.registry import provider

JSON = dict[str, Any]

API: Final = "https://fcm.googleapis.com"
TOKENS: Final = "https://oauth2.googleapis.com/token"
SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
LIFE_S: Final = 3_600
# A token is not used in the last minute of its life.
SPARE_S: Final = 60
# What a flow may add to a message, as FCM names it; the address and the words are not its to change.
OPTIONS: Final = ("android", "apns", "webpush", "fcm_options")
UNAUTHORIZED: Final = 401

_tokens: dict[str, tuple[float, str]] = {}


class FcmConfig(Settings):
    """The project."""

    project_id: str = Field(pattern=r"^[a-z0-9-]{4,64}$", description="The project's id, as in the service account.")
    api_url: str = destination(API, "FCM's address.")
    token_uri: str = destination(TOKENS, "Where tokens are given, as in the service account.")


class FcmCredentials(Settings):
    """The service account."""

    client_email: str = Field(min_length=3, max_length=255, description="As in the service account.")
    private_key: SecretStr = Field(min_length=1, description="As in the service account, in PEM.")
    callback_secret: SecretStr | None = Field(
        None, min_length=16, description="What your app signs its reports with (Standard Webhooks)."
    )

    @field_validator("private_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        _key(value.get_secret_value())
        return value


@provider
class Fcm:
    """One message for each device; a device that is unregistered gets nothing more."""

    name: ClassVar[str] = "fcm"
    title: ClassVar[str] = "Firebase Cloud Messaging"
    channels: ClassVar[frozenset[str]] = frozenset({"push"})
    takes_keys: ClassVar[bool] = False
    Config: ClassVar = FcmConfig
    Credentials: ClassVar = FcmCredentials

    def send_many(self, account: Account, messages: Sequence[Outgoing]) -> Sequence[Verdict]:
        """Get a token, where the last one is over, and call once for each message."""
        token = _token(account)
        if not isinstance(token, str):
            return [token] * len(messages)
        return calling.each(partial(_send, account, token), messages)

    def read_callback(self, account: Account, callback: Callback) -> Sequence[Report]:
        """Read what the app reports: FCM itself tells nothing."""
        return standard.read(self.name, account.credentials.callback_secret, callback)


def _send(account: Account, token: str, message: Outgoing) -> Verdict:
    url = f"{account.config.api_url.rstrip('/')}/v1/projects/{account.config.project_id}/messages:send"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        answer = calling.post(url, orjson.dumps({"message": _message(message)}), headers)
    except CallFailed as failure:
        return calling.of_failure(failure)
    told = calling.content(answer.body)
    if answer.status in calling.OK:
        return Accepted(str(told.get("name") or "")[:255])
    if answer.status == UNAUTHORIZED:
        _tokens.pop(_name(account), None)
    return _of_error(answer, told.get("error"))


def _message(message: Outgoing) -> JSON:
    parts = message.parts
    shown = {name: parts[name] for name in ("title", "body", "image") if parts.get(name)}
    data = {"delivery_id": message.delivery_id}
    if link := parts.get("deep_link"):
        data["deep_link"] = link
    more = {name: message.options[name] for name in OPTIONS if isinstance(message.options.get(name), dict)}
    extra = message.options.get("data")
    if isinstance(extra, dict):
        data = {**{str(name): str(value) for name, value in extra.items()}, **data}
    return {"token": message.recipient, "notification": shown, "data": data, **more}


def _of_error(answer: HttpResponse, error: Any) -> Verdict:
    error = error if isinstance(error, dict) else {}
    details = [each for each in error.get("details") or [] if isinstance(each, dict)]
    code = next((str(each["errorCode"]) for each in details if "errorCode" in each), str(error.get("status") or ""))
    words = f"{code} {error.get('message', '')}".strip()[:300]
    about_token = "registration token" in words or any(
        violation.get("field") == "message.token"
        for each in details
        for violation in each.get("fieldViolations") or []
        if isinstance(violation, dict)
    )
    match code:
        case "UNREGISTERED":
            return Permanent("invalid_address", words, dead_address=True)
        case "INVALID_ARGUMENT" if about_token:
            return Permanent("invalid_address", words, dead_address=True)
        case "SENDER_ID_MISMATCH":
            return Permanent("sender_mismatch", words)
        case _:
            return calling.of_status(answer.status, answer.retry_after, code.lower()[:64], words)


# What went wrong on the way to a token has touched no message.
def _token(account: Account) -> str | Verdict:
    name = _name(account)
    known = _tokens.get(name)
    if known is not None and known[0] > time.monotonic():
        return known[1]
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": _assertion(account)}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        answer = calling.post(account.config.token_uri, urlencode(grant).encode(), headers)
    except CallFailed as failure:
        verdict = calling.of_failure(failure)
        return Transient(verdict.code, verdict.detail) if isinstance(verdict, Unknown) else verdict
    told = calling.content(answer.body)
    token = told.get("access_token")
    if answer.status not in calling.OK or not isinstance(token, str):
        return Transient("unauthorized", f"No token: {answer.status} {told.get('error', '')}"[:300], answer.retry_after)
    life = told.get("expires_in")
    seconds = life if isinstance(life, int) else LIFE_S
    _tokens[name] = (time.monotonic() + max(0, seconds - SPARE_S), token)
    return token


def _assertion(account: Account) -> str:
    now = int(time.time())
    claims = {
        "iss": account.credentials.client_email,
        "scope": SCOPE,
        "aud": account.config.token_uri,
        "iat": now,
        "exp": now + LIFE_S,
    }
    signed = f"{_encoded(orjson.dumps({'alg': 'RS256', 'typ': 'JWT'}))}.{_encoded(orjson.dumps(claims))}"
    key = _key(account.credentials.private_key.get_secret_value())
    return f"{signed}.{_encoded(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _key(pem: str) -> RSAPrivateKey:
    key: Any
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, RSAPrivateKey):
        return key
    raise ValueError("this is no private key for RSA, in PEM")


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


# Another key, or another place, is another token.
def _name(account: Account) -> str:
    key = account.credentials.private_key.get_secret_value()
    facts = (str(account.tenant_id), account.config.token_uri, account.credentials.client_email, key)
    return sha256("\0".join(facts).encode()).hexdigest()
