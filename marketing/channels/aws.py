"""How Amazon's calls are signed: ours to them (Signature Version 4), and those of SNS to us."""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature as WrongSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate

from engine import ports
from engine.ports import CallFailed, HttpRequest
from marketing.channels.provider import InvalidSignature

ALGORITHM: Final = "AWS4-HMAC-SHA256"
# Certificates come from Amazon's own hosts, whatever a call says.
SNS: Final = re.compile(r"https://sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[^?#]*")
SIGNED: Final = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
SECONDS: Final = timedelta(seconds=10)
OK: Final = 200


def sign(request: HttpRequest, key_id: str, secret: str, *, region: str, service: str, now: datetime) -> HttpRequest:
    """Give the request with the headers that sign it; its query has to be in its final form."""
    url = urlsplit(request.url)
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {name.lower(): value.strip() for name, value in request.headers.items()}
    headers |= {"host": url.netloc, "x-amz-date": stamp}
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            request.method,
            url.path or "/",
            "&".join(sorted(url.query.split("&"))) if url.query else "",
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            "",
            names,
            sha256(request.body).hexdigest(),
        ]
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    told = f"{ALGORITHM}\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, told.encode(), "sha256").hex()
    credential = f"{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    sent = {**{name: value for name, value in headers.items() if name != "host"}, "Authorization": credential}
    return HttpRequest(request.method, request.url, sent, request.body, request.timeout, request.max_response)


def check_sns(message: Mapping[str, Any], topic_arn: str) -> None:
    """Raise InvalidSignature unless SNS signed a message of this topic: anybody may have a topic that calls us."""
    fields = SIGNED.get(str(message.get("Type")))
    if fields is None or message.get("TopicArn") != topic_arn:
        raise InvalidSignature("the message is not of the channel's topic")
    told = "".join(f"{name}\n{message[name]}\n" for name in fields if message.get(name) is not None)
    url = str(message.get("SigningCertURL"))
    digest = hashes.SHA256() if message.get("SignatureVersion") == "2" else hashes.SHA1()  # noqa: S303 - version 1 is so
    try:
        signature = b64decode(str(message.get("Signature")), validate=True)
        _public_key(url).verify(signature, told.encode(), padding.PKCS1v15(), digest)
    except (WrongSignature, ValueError) as error:
        raise InvalidSignature("the signature is not of SNS") from error


def confirm(url: str) -> None:
    """Confirm a subscription that SNS has asked about; raises InvalidSignature for an address that is not its own."""
    host = urlsplit(url).hostname or ""
    if not SNS.match(f"https://{host}/") or urlsplit(url).scheme != "https":
        raise InvalidSignature("the address to confirm at is not of SNS")
    ports.bound().http.call(HttpRequest("GET", url, timeout=SECONDS))


@lru_cache(maxsize=32)
def _public_key(url: str) -> RSAPublicKey:
    if not SNS.fullmatch(url):
        raise InvalidSignature("the certificate is not of SNS")
    try:
        answer = ports.bound().http.call(HttpRequest("GET", url, timeout=SECONDS))
    except CallFailed as failure:
        raise InvalidSignature(f"the certificate cannot be had: {failure.code}") from failure
    key = load_pem_x509_certificate(answer.body).public_key() if answer.status == OK else None
    if not isinstance(key, RSAPublicKey):
        raise InvalidSignature("the certificate cannot be had")
    return key
