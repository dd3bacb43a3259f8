"""Signatures of webhooks, outgoing and incoming: Standard Webhooks, and the plain HMAC that most systems speak."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, Literal

Scheme = Literal["standard", "hmac-sha256"]

HMAC_HEADER: Final = "X-Signature"
HMAC_TIMESTAMP_HEADER: Final = "X-Timestamp"
_DIGITS: Final = 12
TOLERANCE: Final = timedelta(minutes=5)


class InvalidSignature(Exception):
    """A message is not signed with the secret, or is too old; the message says which, for logs, not for its sender."""


@dataclass(frozen=True, slots=True)
class HmacHeaders:
    """Where an `hmac-sha256` signature stands; with a timestamp header, `<timestamp>.<body>` is what is signed."""

    signature: str = HMAC_HEADER
    timestamp: str | None = None


def sign(scheme: Scheme, secret: str, body: bytes, *, message_id: str, now: datetime) -> dict[str, str]:
    """Give the headers that sign a body; the receiver can tell repetitions by `message_id`."""
    timestamp = str(int(now.timestamp()))
    if scheme == "standard":
        signature = base64.b64encode(_standard_digest(secret, message_id, timestamp, body)).decode()
        return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
    digest = _digest(secret.encode(), timestamp.encode() + b"." + body).hex()
    return {HMAC_HEADER: f"sha256={digest}", HMAC_TIMESTAMP_HEADER: timestamp}


def verify_standard(
    secret: str, headers: Mapping[str, str], body: bytes, *, now: datetime, tolerance: timedelta = TOLERANCE
) -> None:
    """Raise InvalidSignature unless one of the message's signatures is right and it is of now."""
    given = _lower(headers)
    message_id, timestamp, signatures = (given.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
    _refuse_old(timestamp, now, tolerance)
    expected = base64.b64encode(_standard_digest(secret, message_id, timestamp, body))
    candidates = [part.removeprefix("v1,") for part in signatures.split() if part.startswith("v1,")]
    # Every candidate is compared, so that the time taken tells nothing of which was near.
    right = [hmac.compare_digest(candidate.encode(), expected) for candidate in candidates]
    if True not in right:
        raise InvalidSignature("no signature is right")


def verify_hmac(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    where: HmacHeaders,
    tolerance: timedelta = TOLERANCE,
) -> None:
    """Raise InvalidSignature unless the hexadecimal signature, with or without `sha256=`, is right and not too old."""
    given = _lower(headers)
    signed = body
    if where.timestamp is not None:
        timestamp = given.get(where.timestamp.lower(), "")
        _refuse_old(timestamp, now, tolerance)
        signed = timestamp.encode() + b"." + body
    signature = given.get(where.signature.lower(), "").strip().removeprefix("sha256=").lower()
    if not hmac.compare_digest(signature.encode(), _digest(secret.encode(), signed).hex().encode()):
        raise InvalidSignature("the signature is not right")


def _standard_digest(secret: str, message_id: str, timestamp: str, body: bytes) -> bytes:
    return _digest(_standard_key(secret), f"{message_id}.{timestamp}.".encode() + body)


def _standard_key(secret: str) -> bytes:
    # The standard's secrets are base64; anything else serves as it is, so that a wrong one fails as a wrong signature.
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()


def _digest(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, sha256)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _refuse_old(timestamp: str, now: datetime, tolerance: timedelta) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _DIGITS):
        raise InvalidSignature("the timestamp is missing or no number")
    try:
        sent = datetime.fromtimestamp(int(timestamp), UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidSignature("the timestamp is out of range") from error
    if abs(now - sent) > tolerance:
        raise InvalidSignature("the message is too old, or of the future")
