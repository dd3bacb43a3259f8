"""Calling a provider over HTTP, and what its answer, or the lack of one, means for a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

import orjson

from engine import ports
from engine.ports import CallFailed, HttpRequest, HttpResponse
from marketing.channels.provider import Outgoing, Permanent, Transient, Unknown, Verdict

TIMEOUT: Final = timedelta(seconds=20)
OK: Final = range(200, 300)
AT_ONCE: Final = 8
# What says that our account is in trouble, or the provider is: the message itself may go another time.
ELSEWHERE: Final = {401: "unauthorized", 402: "account", 403: "forbidden", 404: "not_found", 408: "timeout"}
TOO_MANY: Final = 429
# Whoever stands before the provider has heard nothing of it.
GATEWAY_TIMEOUT: Final = 504
SERVER: Final = 500


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: timedelta = TIMEOUT) -> HttpResponse:
    """Post to a provider; raise CallFailed when no answer came. Private addresses are refused, redirects not gone."""
    return ports.bound().http.call(HttpRequest("POST", url, headers, body, timeout))


def each(send: Callable[[Outgoing], Verdict], messages: Sequence[Outgoing]) -> list[Verdict]:
    """Hand messages over, a few at the same time; give the verdicts in order. `send` does not touch the database."""
    if len(messages) <= 1:
        return [send(message) for message in messages]
    with ThreadPoolExecutor(min(AT_ONCE, len(messages)), "provider") as threads:
        return list(threads.map(send, messages))


def of_failure(failure: CallFailed) -> Verdict:
    """What it means that no answer came."""
    if failure.sent:
        return Unknown(failure.code, failure.detail)
    return Transient(failure.code, failure.detail) if failure.retryable else Permanent(failure.code, failure.detail)


def of_status(status: int, retry_after: timedelta | None, code: str = "", detail: str = "") -> Verdict:
    """What a status other than success means, where the provider's own code says no more."""
    if status == TOO_MANY:
        return Transient("rate_limited", detail, retry_after or timedelta(seconds=1))
    if status == GATEWAY_TIMEOUT:
        return Unknown("gateway_timeout", detail)
    if status >= SERVER:
        return Transient(code or f"http_{status}", detail, retry_after)
    if status in ELSEWHERE:
        return Transient(ELSEWHERE[status], detail)
    return Permanent(code or f"http_{status}", detail)


def content(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer; an empty one where it is none."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
