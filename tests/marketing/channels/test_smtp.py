"""E-mail over SMTP, against a server that speaks it."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from marketing.channels.provider import Accepted, Permanent, Transient, Unknown
from tests.marketing.channels.conftest import account, message


class Mailbox:
    """Takes mail, and answers as the test says."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.logins: list[Any] = []
        self.on_recipient: dict[str, str] = {}
        self.on_data = "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        if refusal := self.on_recipient.get(address):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        self.envelopes.append(envelope)
        if self.on_data == "hang up":
            server.transport.abort()
        return self.on_data

    def login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"secret", handled=False)

    @property
    def mails(self) -> list[Any]:
        return [message_from_bytes(each.content, policy=policy.default) for each in self.envelopes]


class Server(Controller):
    """Takes the port that the system gives it."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def port(mailbox, settings) -> Iterator[int]:
    settings.KALCIFER_ALLOW_PRIVATE_ADDRESSES = "127.0.0.1/32"
    controller = Server(
        mailbox, hostname="127.0.0.1", port=0, authenticator=mailbox.login, auth_require_tls=False, ready_timeout=10,
    )  # fmt: skip
    controller.start()
    yield controller.port
    controller.stop()


def smtp(port: int, **credentials: str):
    config = {
        "host": "127.0.0.1", "port": port, "security": "none", "from_email": "us@example.com", "from_name": "Us & Co",
        "reply_to": "help@example.com",
    }  # fmt: skip
    return account("smtp", "email", config, credentials)


def send(given, *messages):
    return given.provider.send_many(given, messages or [message()])


def test_a_mail_arrives_as_it_was_written(port, mailbox):
    headers = {"List-Unsubscribe": "<https://k/u/t>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}

    assert send(smtp(port), message(headers=headers)) == [Accepted("<d-1@example.com>")]

    (mail,) = mailbox.mails
    assert mailbox.envelopes[0].rcpt_tos == ["ada@example.com"]
    assert mail["Subject"] == "Hello"
    assert (mail["From"].addresses[0].display_name, mail["From"].addresses[0].addr_spec) == (
        "Us & Co",
        "us@example.com",
    )
    assert mail["Reply-To"] == "help@example.com"
    assert mail["Message-ID"] == "<d-1@example.com>"
    assert mail["List-Unsubscribe"] == "<https://k/u/t>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail.get_body(("plain",)).get_content().strip() == "Hi Ada"
    html = mail.get_body(("html",)).get_content()
    assert "<body><div" in html
    assert "2 &lt; 3" in html


def test_a_template_cannot_add_headers(port, mailbox):
    evil = message(parts={"subject": "Hi\r\nBcc: eve@example.com", "text": "x", "from_name": "A\nB <x@y.z>"})

    assert send(smtp(port), evil) == [Accepted("<d-1@example.com>")]

    (mail,) = mailbox.mails
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Hi Bcc: eve@example.com"
    assert [each.addr_spec for each in mail["From"].addresses] == ["us@example.com"]


def test_domains_of_every_script_are_written_in_ascii(port, mailbox):
    several = [message(recipient=address) for address in ("ada@müller.example", "ädä@example.com", "a@" + "x" * 70)]

    verdicts = send(smtp(port), *several)

    assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [["ada@xn--mller-kva.example"]]
    assert isinstance(verdicts[0], Accepted)
    assert [verdict.code for verdict in verdicts[1:]] == ["invalid_address"] * 2


def test_each_refusal_is_of_its_own_message(port, mailbox):
    mailbox.on_recipient = {
        "gone@example.com": "550 5.1.1 No such user",
        "full@example.com": "452 4.2.2 Mailbox full",
        "policy@example.com": "550 5.7.1 Not welcome",
    }
    several = [message(recipient=f"{name}@example.com") for name in ("gone", "full", "policy", "ada")]

    verdicts = send(smtp(port), *several)

    assert verdicts == [
        Permanent("invalid_address", "550 5.1.1 No such user", dead_address=True),
        Transient("deferred", "452 4.2.2 Mailbox full"),
        Permanent("refused", "550 5.7.1 Not welcome"),
        Accepted("<d-1@example.com>"),
    ]


def test_a_refused_content_is_permanent_and_a_busy_server_is_not(port, mailbox):
    mailbox.on_data = "554 5.6.0 Spam"
    assert send(smtp(port)) == [Permanent("refused", "554 5.6.0 Spam")]

    mailbox.on_data = "451 4.3.0 Later"
    assert send(smtp(port)) == [Transient("deferred", "451 4.3.0 Later")]


def test_a_connection_that_breaks_after_the_content_leaves_one_unknown_and_the_rest_unsent(port, mailbox):
    mailbox.on_data = "hang up"

    verdicts = send(smtp(port), message(), message(), message())

    assert [type(verdict) for verdict in verdicts] == [Unknown, Transient, Transient]
    assert len(mailbox.envelopes) == 1


def test_a_login_is_used_and_a_wrong_one_is_another_time(port, mailbox):
    assert send(smtp(port, username="us", password="secret")) == [Accepted("<d-1@example.com>")]
    (verdict,) = send(smtp(port, username="us", password="wrong"))

    assert mailbox.logins[0] == (b"us", b"secret")
    assert isinstance(verdict, Transient)
    assert "wrong" not in verdict.detail


def test_a_private_server_is_refused(port, settings):
    settings.KALCIFER_ALLOW_PRIVATE_ADDRESSES = ()

    (verdict,) = send(smtp(port))

    assert isinstance(verdict, Permanent)
    assert verdict.code == "forbidden_address"


def test_nobody_there_is_another_time(settings):
    settings.KALCIFER_ALLOW_PRIVATE_ADDRESSES = "*"

    (verdict,) = send(smtp(9))

    assert isinstance(verdict, Transient)
    assert verdict.code == "connect_failed"
