"""How the engine reaches other systems, and with which secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from engine.signatures import Scheme


class SecretLookup(Protocol):
    """Knows the tenant's secrets."""

    def fetch(self, tenant_id: str, name: str) -> str | None:
        """Give a secret's value, or None when there is none of this name."""

    def existing(self, tenant_id: str, names: Sequence[str]) -> frozenset[str]:
        """Tell which of the secrets there are."""


@dataclass(frozen=True, slots=True)
class Signing:
    """How a request is to be signed, when it is sent."""

    scheme: Scheme
    secret: str = field(repr=False)
    message_id: str


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One call; headers may hold secrets and are not shown."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = b""
    timeout: timedelta = timedelta(seconds=30)
    max_response: int = 65_536
    signing: Signing | None = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What came back, whatever its status; `body` ends where `max_response` does, and `cut` says so."""

    status: int
    body: bytes = b""
    cut: bool = False
    retry_after: timedelta | None = None


class CallFailed(Exception):
    """No response came; `sent`: the request may have had its effect, `retryable`: another try may succeed."""

    def __init__(self, code: str, detail: str, *, sent: bool = False, retryable: bool = True) -> None:
        """Name the situation."""
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.sent = sent
        self.retryable = retryable


class HttpCaller(Protocol):
    """Calls other systems."""

    def call(self, request: HttpRequest) -> HttpResponse:
        """Give the response, without following redirects; raise CallFailed when none came."""


class Busy(Exception):
    """No hand is free for work of this kind: it is put off, and the attempt does not count."""
