"""Providers that really are called: a local server plays each of them after its documents."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest

from engine import clock, ports
from engine.addresses import AddressGuard
from engine.http_caller import HttpxCaller
from engine.nodes import config as configs
from marketing.channels import accounts, registry
from marketing.channels.provider import Account, Callback, Outgoing
from marketing.models import Channel, Delivery
from tenants import vault
from tenants.models import Tenant

TENANT = UUID("01890000-0000-7000-8000-000000000001")


@dataclass
class Asked:
    """One call as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    # After the request was read, nothing is said and the connection ends.
    hangs_up: bool = False


class Service(ThreadingHTTPServer):
    """Answers as the test says, in turn; the last answer stands."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.answers: list[Answer] = [Answer()]
        self.by_path: dict[str, Answer] = {}
        self.lock = threading.Lock()

    def handle_error(self, *_: Any) -> None:
        """A client that left is no error."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def says(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def next_answer(self, asked: Asked) -> Answer:
        with self.lock:
            self.asked.append(asked)
            for path, answer in self.by_path.items():
                if asked.path.startswith(path):
                    return answer
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.next_answer(Asked(self.path, headers, body))
        if answer.hangs_up:
            self.close_connection = True
            return
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def service() -> Iterator[Service]:
    """A provider's server, and a caller that may reach it."""
    with Service() as running, closing(HttpxCaller(AddressGuard.allowing("127.0.0.0/8"))) as caller:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with ports.binding(http=caller):
            yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def own_providers() -> Iterator[None]:
    with registry.preserved():
        accounts.forget()
        yield
        accounts.forget()


def account(provider: str, channel: str, config: dict[str, Any], credentials: dict[str, Any], **more: Any) -> Account:
    """An account as it comes from the database, without one."""
    known = registry.get(provider)
    settings, login = configs.parse(known.Config, config), configs.parse(known.Credentials, credentials)
    return Account(None, TENANT, channel, known, settings, login, **more)


def message(channel: str = "email", recipient: str = "ada@example.com", **more: Any) -> Outgoing:
    parts = {
        "email": {"subject": "Hello", "html": "<body><p>Hi <b>Ada</b></p></body>", "preheader": "2 < 3"},
        "push": {"title": "Hello", "body": "Hi", "deep_link": "app://x"},
    }.get(channel, {"text": "Hi"})
    given = {"parts": parts, "delivery_id": "d-1", "key": "run:node:1", "participant_id": "ada", **more}
    return Outgoing(channel=channel, recipient=recipient, **given)


def callback(
    body: Any, headers: dict[str, str] | None = None, url: str = "https://k.example/cb", **more: Any
) -> Callback:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Callback(url=url, headers=headers or {}, body=raw, **more)


@pytest.fixture
def channel_of(tenant: Tenant) -> Callable[..., Channel]:
    """Set up a channel as it is kept."""

    def make(provider: str = "log", channel: str = "email", of: Tenant | None = None, **facts: Any) -> Channel:
        now = clock.now()
        credentials = facts.pop("credentials", {})
        given = {"name": f"{provider}-{channel}", "is_default": True, "created_at": now, "updated_at": now, **facts}
        ciphertext = vault.encrypt(json.dumps(credentials)) if credentials else ""
        return Channel.objects.create(
            tenant=of or tenant, provider=provider, channel=channel, ciphertext=ciphertext, **given
        )

    return make


@pytest.fixture
def delivery_of(tenant: Tenant) -> Callable[..., Delivery]:
    """A message as it stands."""
    made = iter(range(100_000))

    def make(status: str = "sent", of: Tenant | None = None, **facts: Any) -> Delivery:
        number = next(made)
        given = {
            "key": f"key-{number}", "participant_id": "ada", "channel": "email", "provider": "sendgrid",
            "recipient": "Ada@Example.com", "provider_message_id": f"m-{number}", "created_at": clock.now(), **facts,
        }  # fmt: skip
        return Delivery.objects.create(tenant=of or tenant, status=status, **given)

    return make


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
