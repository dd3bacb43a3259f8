"""Calls of other systems: how they are signed, and what is taken from their bodies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from engine import signatures
from engine.nodes.base import NodeConfig
from engine.nodes.duration import Duration


class Signature(NodeConfig):
    """How a call proves where it comes from."""

    scheme: signatures.Scheme = Field(
        "standard", description="Standard Webhooks, or a hexadecimal HMAC of the body in a header of its own."
    )
    secret: str = Field(min_length=1, max_length=200, description="The name of the secret, as under /secrets.")
    header: str = Field(
        signatures.HMAC_HEADER, min_length=1, max_length=100, description="For hmac-sha256: the signature's header."
    )
    timestamp_header: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="For hmac-sha256: the time's header; then `<time>.<body>` is signed.",
    )
    tolerance: Duration = Field(timedelta(minutes=5), description="How old a signed call may be.")

    def verify(self, secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """Raise InvalidSignature unless the call is signed with the secret."""
        if self.scheme == "standard":
            signatures.verify_standard(secret, headers, body, now=now, tolerance=self.tolerance)
            return
        where = signatures.HmacHeaders(self.header, self.timestamp_header)
        signatures.verify_hmac(secret, headers, body, now=now, where=where, tolerance=self.tolerance)


@dataclass(frozen=True, slots=True)
class Call:
    """What a call says; `participant_id` is None when it names nobody, which nothing can be started for."""

    participant_id: str | None
    event_id: str | None = None
    entry: dict[str, Any] = field(default_factory=dict)


def read(body: Any, participant_id_path: str, event_id_path: str | None, names: Mapping[str, str]) -> Call:
    """Take from a body what the paths name; what is not there is left out."""
    found = {name: value for name, path in names.items() if (value := at(body, path)) is not None}
    whole = body if isinstance(body, dict) else {"body": body}
    return Call(
        participant_id=_as_id(at(body, participant_id_path)),
        event_id=None if event_id_path is None else _as_id(at(body, event_id_path)),
        entry=found if names else whole,
    )


def at(body: Any, path: str) -> Any:
    """Give what stands at a dotted path, or None."""
    for part in path.split("."):
        if isinstance(body, Mapping):
            body = body.get(part)
        elif isinstance(body, list) and part.isascii() and part.isdigit() and int(part) < len(body):
            body = body[int(part)]
        else:
            return None
    return body


def _as_id(value: Any) -> str | None:
    # Systems number their people, too; True and 1.5 are no ids.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None
