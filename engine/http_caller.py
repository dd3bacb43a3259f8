"""Outgoing HTTP: guarded addresses, one time limit for the whole call, capped responses, one pool per process."""

import os
import ssl
import threading
import time
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
import httpx
from django.conf import settings

from engine import signatures
from engine.addresses import AddressGuard, ForbiddenAddress, UnknownHost
from engine.ports import CallFailed, HttpRequest, HttpResponse

USER_AGENT = "Kalcifer/1"

# When the call that runs on this thread must be over, on the monotonic clock.
_deadline: ContextVar[float] = ContextVar("deadline")


class HttpxCaller:
    """The HttpCaller of the product; threads share it, and a forked child opens connections of its own."""

    def __init__(self, guard: AddressGuard | None = None) -> None:
        """Call the public internet only, and what the guard allows besides."""
        self._guard = guard or AddressGuard()
        self._opening = threading.Lock()
        self._client: httpx.Client | None = None
        self._pid = 0

    def call(self, request: HttpRequest) -> HttpResponse:
        """Give the response; raise CallFailed, which says whether the request may have had its effect."""
        _refuse_odd(request)
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **request.headers}
        if request.signing is not None:
            signing, now = request.signing, datetime.now(UTC)
            headers |= signatures.sign(
                signing.scheme, signing.secret, request.body, message_id=signing.message_id, now=now
            )
        seconds = request.timeout.total_seconds()
        token = _deadline.set(time.monotonic() + seconds)
        try:
            return self._exchange(request, headers, seconds)
        except ForbiddenAddress as error:
            raise CallFailed("forbidden_address", str(error), retryable=False) from error
        except UnknownHost as error:
            raise CallFailed("connect_failed", str(error)) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError) as error:
            raise CallFailed("invalid_request", str(error), retryable=False) from error
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise CallFailed("timeout", f"no connection within {seconds:g} s") from error
        except httpx.TimeoutException as error:
            raise CallFailed("timeout", f"no response within {seconds:g} s", sent=True) from error
        except httpx.ConnectError as error:
            raise CallFailed("connect_failed", str(error)) from error
        except httpx.HTTPError as error:
            raise CallFailed("connection_lost", str(error) or "the connection was lost", sent=True) from error
        finally:
            _deadline.reset(token)

    def close(self) -> None:
        """Close this process's connections; the next call opens new ones."""
        with self._opening:
            if self._client is not None and self._pid == os.getpid():
                self._client.close()
            self._client = None

    def _exchange(self, request: HttpRequest, headers: dict[str, str], seconds: float) -> HttpResponse:
        sending = self._opened().stream(
            request.method, request.url, headers=headers, content=request.body or None, timeout=seconds
        )
        with sending as response:
            body, cut = _read(response, request.max_response)
            return HttpResponse(response.status_code, body, cut, _retry_after(response))

    def _opened(self) -> httpx.Client:
        # A parent's connections must not be used, nor closed, by its child; they are left alone.
        client, pid = self._client, os.getpid()
        if client is not None and self._pid == pid:
            return client
        with self._opening:
            if self._client is None or self._pid != pid:
                self._client = httpx.Client(transport=_Transport(self._guard), trust_env=False)
                self._pid = pid
            return self._client


class _Transport(httpx.HTTPTransport):
    # httpx offers no way to say how connections are opened; its pool does.
    def __init__(self, guard: AddressGuard) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=200,
            max_keepalive_connections=20,
            keepalive_expiry=15,
            network_backend=_Backend(guard),
        )


class _Backend(httpcore.NetworkBackend):
    # Connects to the very address that was checked, so that a second answer of the name server changes nothing.
    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        trouble: Exception | None = None
        for address in self._guard.resolve(host, port):
            try:
                stream = self._sockets.connect_tcp(address, port, _left(), local_address, socket_options)
            except httpcore.ConnectError as error:
                trouble = error
            else:
                return _Stream(stream)
        raise trouble or httpcore.ConnectError(host)


class _Stream(httpcore.NetworkStream):
    # Every read and write gets what is left of the whole call's time, so that dribbling does not prolong it.
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left()))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(late: type[Exception] = httpcore.ConnectTimeout) -> float:
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise late("the call's time is over")
    return left


def _refuse_odd(request: HttpRequest) -> None:
    try:
        url = httpx.URL(request.url)
    except (httpx.InvalidURL, UnicodeError, TypeError) as error:
        raise CallFailed("invalid_request", "this is no address", retryable=False) from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise CallFailed("invalid_request", "an address begins with https:// and a host", retryable=False)


def _read(response: httpx.Response, limit: int) -> tuple[bytes, bool]:
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > limit:
            return bytes(body[:limit]), True
    return bytes(body), False


def _retry_after(response: httpx.Response) -> timedelta | None:
    written = response.headers.get("retry-after", "").strip()
    if written.isascii() and written.isdigit():
        return timedelta(seconds=min(int(written[:10]), 86_400))
    try:
        wait = parsedate_to_datetime(written) - datetime.now(UTC)
    except (TypeError, ValueError):
        return None
    return min(max(wait, timedelta()), timedelta(days=1))


def configured() -> HttpxCaller:
    """Make the caller that the settings ask for."""
    return HttpxCaller(AddressGuard.allowing(getattr(settings, "KALCIFER_ALLOW_PRIVATE_ADDRESSES", ())))
