"""One HTTP call of a node, and what its answer means."""

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, Field

from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Completed, Failed, Outcome
from engine.ports import CallFailed, HttpRequest, HttpResponse, Signing
from engine.signatures import Scheme

MAX_RESPONSE = 65_536
RESULT_SCHEMA: JSON = {
    "type": "object",
    "properties": {
        "status": {"enum": ["ok", "failed"]},
        "http_status": {"type": ["integer", "null"]},
        "response": {"description": "The answer: JSON, else text; null when it was empty or too large."},
    },
}
_OWN = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade"})


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError('write an address such as "https://shop.example.com/stock"')
    return url


def _check_header(name: str) -> str:
    if name.lower() in _OWN:
        raise ValueError(f'the header "{name}" is set by the call itself')
    return name


Url = Annotated[str, Field(max_length=2_000), AfterValidator(_check_url)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"), AfterValidator(_check_header)]


@dataclass(frozen=True, slots=True)
class Token:
    """The name of the secret that a call is made with, and whether it signs rather than being sent."""

    secret: str | None
    sign: Scheme | None


def as_headers(values: JSON) -> dict[str, str]:
    """Make headers of resolved values; one that is missing is left out."""
    return {
        name: value if isinstance(value, str) else _dump(value).decode()
        for name, value in values.items()
        if value is not None
    }


def call(step: StepContext, token: Token, *, timeout: timedelta) -> Outcome:
    """Send `step.input` once, under the step's idempotency key."""
    secret = None if token.secret is None else step.ports.secrets.fetch(step.tenant_id, token.secret)
    if token.secret is not None and secret is None:
        return _failed(f'there is no secret "{token.secret}"', "unresolved_reference", retryable=False)
    try:
        response = step.ports.http.call(_request(step, token, secret, timeout))
    except CallFailed as error:
        return _failed(error.detail, error.code, retryable=error.retryable, unknown=error.sent)
    return _outcome(response)


def _request(step: StepContext, token: Token, secret: str | None, timeout: timedelta) -> HttpRequest:
    given = step.input
    headers = {"Idempotency-Key": step.idempotency_key, **given["headers"]}
    body = b"" if given["body"] is None else _dump(given["body"])
    if body and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = "application/json"
    signing = None
    if secret is not None and token.sign is not None:
        signing = Signing(token.sign, secret, step.idempotency_key)
    elif secret is not None:
        headers["Authorization"] = f"Bearer {secret}"
    url = given["url"] if isinstance(given["url"], str) else ""
    return HttpRequest(given["method"], url, headers, body, timeout, MAX_RESPONSE, signing)


def _outcome(response: HttpResponse) -> Outcome:
    status = response.status
    facts = {"http_status": status, "response": None if response.cut else _read(response.body)}
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Completed({"status": "ok", **facts})
    retryable = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    detail = f"the answer was HTTP {status}"
    return _failed(detail, f"http_{status}", retryable=retryable, retry_after=response.retry_after, facts=facts)


def _failed(
    reason: str,
    code: str,
    *,
    retryable: bool,
    unknown: bool = False,
    retry_after: timedelta | None = None,
    facts: JSON | None = None,
) -> Failed:
    result = {"status": "failed", **(facts or {"http_status": None, "response": None})}
    return Failed(reason, code, retryable, retry_after if retryable else None, unknown, result)


def _read(body: bytes) -> Any:
    # PostgreSQL stores no NUL in text or JSON.
    try:
        return orjson.loads(body.replace(b"\\u0000", b"\\ufffd")) if body else None
    except orjson.JSONDecodeError:
        return body.decode(errors="replace").replace("\0", "\ufffd")


def _dump(value: Any) -> bytes:
    return orjson.dumps(value)
