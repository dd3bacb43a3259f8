import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engine.addresses import AddressGuard
from engine.http_caller import HttpxCaller
from engine.ports import CallFailed, HttpRequest, HttpResponse, Signing
from engine.signatures import verify_standard

LOCAL = AddressGuard.allowing("127.0.0.0/8")


class Handler(BaseHTTPRequestHandler):
    """Answers by path, and keeps what it was asked."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Keep quiet."""

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        match self.path.split("/")[1]:
            case "status":
                self.send_response(int(self.path.split("/")[2]))
                self.send_header("Retry-After", self.server.retry_after)
                self.send_header("Location", "/redirected")
                self.finish_with(b"")
            case "large":
                self.send_response(200)
                self.finish_with(b"x" * 100_000)
            case "silent":
                self.server.released.wait(60)
            case "dribble":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                while not self.server.released.wait(0.05):
                    self.wfile.write(b"x")
                    self.wfile.flush()
            case "hang_up":
                self.close_connection = True
            case _:
                self.send_response(200)
                self.finish_with(b'{"ok": true}')

    def finish_with(self, body):
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A server whose waiting answers end with the test."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.released = threading.Event()
        self.retry_after = "7"

    def handle_error(self, *_):
        """A client that left is no error."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


def call(request: HttpRequest, guard: AddressGuard = LOCAL) -> HttpResponse:
    with closing(HttpxCaller(guard)) as caller:
        return caller.call(request)


def failure(request: HttpRequest, guard: AddressGuard = LOCAL) -> CallFailed:
    with pytest.raises(CallFailed) as raised:
        call(request, guard)
    return raised.value


def test_a_call_gives_status_and_body(server):
    response = call(HttpRequest("POST", server.url("/x?y=1"), {"X-A": "b"}, b"{}"))
    assert (response.status, response.body, response.cut) == (200, b'{"ok": true}', False)
    [(method, path, headers, body)] = server.asked
    assert (method, path, headers["X-A"], body) == ("POST", "/x?y=1", "b", b"{}")
    assert headers["Host"] == f"127.0.0.1:{server.server_address[1]}"


def test_a_call_can_be_signed(server):
    signing = Signing("standard", "whsec_c2VjcmV0", "key-1")
    call(HttpRequest("POST", server.url("/"), {}, b"{}", signing=signing))
    verify_standard("whsec_c2VjcmV0", server.asked[0][2], b"{}", now=datetime.now(UTC))


def test_private_addresses_are_refused_without_connecting(server):
    error = failure(HttpRequest("GET", server.url("/")), AddressGuard())
    assert (error.code, error.sent, error.retryable) == ("forbidden_address", False, False)
    assert server.asked == []


def test_a_second_answer_of_the_name_server_changes_nothing(server, monkeypatch):
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    def getaddrinfo(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in next(answers)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", connecting_to := ConnectionsTo(socket.create_connection))
    url = server.url("/").replace("127.0.0.1", "rebinding.example")
    assert call(HttpRequest("GET", url)).status == 200
    assert connecting_to.hosts == ["127.0.0.1"]


class ConnectionsTo:
    """Tells where connections were opened to, with the address given as it was checked."""

    def __init__(self, connect):
        self.hosts = []
        self.family = socket.AF_INET
        self.connect = connect

    def __call__(self, address, timeout=None, source_address=None):
        self.hosts.append(address[0])
        connection = socket.socket(self.family, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        connection.connect(address)
        return connection


def test_redirects_are_not_followed(server):
    assert call(HttpRequest("GET", server.url("/status/302"))).status == 302
    assert len(server.asked) == 1


def test_a_large_response_is_cut(server):
    response = call(HttpRequest("GET", server.url("/large"), max_response=1_000))
    assert (len(response.body), response.cut) == (1_000, True)


def test_retry_after_is_read_as_seconds_or_as_a_date(server):
    def retry_after(text):
        server.retry_after = text
        return call(HttpRequest("GET", server.url("/status/503"))).retry_after

    assert retry_after("7") == timedelta(seconds=7)
    assert retry_after("soon") is None
    in_an_hour = retry_after(format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))
    assert timedelta(minutes=59) < in_an_hour <= timedelta(hours=1)


@pytest.mark.parametrize("path", ["/silent", "/dribble"])
def test_the_time_limit_is_for_the_whole_call(server, path):
    with closing(HttpxCaller(LOCAL)) as caller:
        # On a connection that stands already, so that the limit is the answer's however slow the machine.
        caller.call(HttpRequest("GET", server.url("/")))
        with pytest.raises(CallFailed) as raised:
            caller.call(HttpRequest("POST", server.url(path), timeout=timedelta(seconds=0.3)))
    error = raised.value
    assert (error.code, error.sent, error.retryable) == ("timeout", True, True)


def test_a_lost_connection_may_have_had_its_effect(server):
    error = failure(HttpRequest("POST", server.url("/hang_up")))
    assert (error.code, error.sent, error.retryable) == ("connection_lost", True, True)


def test_a_refused_connection_has_not(server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = failure(HttpRequest("POST", f"http://127.0.0.1:{unused.getsockname()[1]}/"))
    assert (error.code, error.sent, error.retryable) == ("connect_failed", False, True)


@pytest.mark.parametrize("url", ["", "ftp://example.com/", "https://", "http://[::1", "nonsense"])
def test_what_is_no_address_is_refused(url):
    error = failure(HttpRequest("GET", url))
    assert (error.sent, error.retryable) == (False, False)


def test_a_header_cannot_smuggle_another(server):
    error = failure(HttpRequest("GET", server.url("/"), {"X-A": "b\r\nX-C: d"}))
    assert (error.code, error.sent) == ("invalid_request", False)


def test_a_child_opens_connections_of_its_own(server, monkeypatch):
    caller = HttpxCaller(LOCAL)
    caller.call(HttpRequest("GET", server.url("/")))
    parents = caller._client
    monkeypatch.setattr(os, "getpid", lambda: -1)
    caller.call(HttpRequest("GET", server.url("/")))
    assert caller._client is not parents
    caller.close()
    parents.close()
