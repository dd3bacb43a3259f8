"""E-mail over SMTP: any server, also those of services that speak it."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

from django.conf import settings
from pydantic import Field, SecretStr

from engine.addresses import AddressGuard, ForbiddenAddress, UnknownHost
from marketing.channels import mail
from marketing.channels.provider import (
    DESTINATION,
    Accepted,
    Account,
    Callback,
    InvalidSignature,
    Outgoing,
    Permanent,
    Report,
    Settings,
    Transient,
    Unknown,
    Verdict,
)
from marketing.channels.registry import provider

TIMEOUT_S = 20.0
# Replies that say that there is no such mailbox, and not that something else is wrong with the message.
NO_MAILBOX = frozenset({550, 551, 553})
PERMANENT = 500
OK = range(200, 300)


class SmtpConfig(mail.Sender):
    """The server, and whom messages come from."""

    host: str = Field(min_length=1, max_length=255, description="The server.", json_schema_extra=DESTINATION)
    port: int = Field(587, ge=1, le=65_535, description="Its port.", json_schema_extra=DESTINATION)
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection is encrypted.", json_schema_extra=DESTINATION
    )


class SmtpCredentials(Settings):
    """The login, where the server asks for one."""

    username: str = Field("", max_length=255)
    password: SecretStr = SecretStr("")


@provider
class Smtp:
    """One connection for a group of messages; what the server says after the message counts."""

    name: ClassVar[str] = "smtp"
    title: ClassVar[str] = "SMTP"
    channels: ClassVar[frozenset[str]] = frozenset({"email"})
    takes_keys: ClassVar[bool] = False
    Config: ClassVar = SmtpConfig
    Credentials: ClassVar = SmtpCredentials

    def send_many(self, account: Account, messages: Sequence[Outgoing]) -> Sequence[Verdict]:
        """Send them one after the other; when the connection breaks, the rest has not been sent."""
        try:
            server = _connected(account)
        except ForbiddenAddress as error:
            return [Permanent("forbidden_address", str(error))] * len(messages)
        except (UnknownHost, OSError, smtplib.SMTPException, UnicodeError) as error:
            return [Transient("connect_failed", _words(error))] * len(messages)
        try:
            return list(_send(server, account, messages))
        finally:
            with suppress(OSError, smtplib.SMTPException):
                server.quit()

    def read_callback(self, account: Account, callback: Callback) -> Sequence[Report]:
        """SMTP has no callbacks: bounces come as mails."""
        raise InvalidSignature("SMTP servers do not call back")


class _Plain(smtplib.SMTP):
    # Connects to the very address that was checked, so that a second answer of the name server changes nothing.
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return _dial(host, port, timeout)


class _Tls(smtplib.SMTP_SSL):
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self.context.wrap_socket(_dial(host, port, timeout), server_hostname=host)


def _dial(host: str, port: int, timeout: float) -> socket.socket:
    trouble: OSError = UnreachableError(f"{host} cannot be reached")
    guard = AddressGuard.allowing(getattr(settings, "KALCIFER_ALLOW_PRIVATE_ADDRESSES", ()))
    for address in guard.resolve(host, port):
        try:
            return socket.create_connection((address, port), timeout)
        except OSError as error:
            trouble = error
    raise trouble


class UnreachableError(OSError):
    """A host has addresses, and none of them answers."""


def _connected(account: Account) -> smtplib.SMTP:
    config, login = account.config, account.credentials
    context = ssl.create_default_context()
    server: smtplib.SMTP = (
        _Tls(config.host, config.port, timeout=TIMEOUT_S, context=context)
        if config.security == "tls"
        else _Plain(config.host, config.port, timeout=TIMEOUT_S)
    )
    try:
        if config.security == "starttls":
            server.starttls(context=context)
        if login.username:
            server.login(login.username, login.password.get_secret_value())
    except BaseException:
        server.close()
        raise
    return server


def _send(server: smtplib.SMTP, account: Account, messages: Sequence[Outgoing]) -> Iterator[Verdict]:
    broken: Verdict | None = None
    for message in messages:
        if broken is not None:
            yield broken
            continue
        verdict = _send_one(server, account, message)
        if isinstance(verdict, Unknown) or (isinstance(verdict, Transient) and verdict.code == "connection_lost"):
            broken = Transient("connection_lost", "The connection broke before this message.")
        yield verdict


@dataclass(frozen=True, slots=True)
class _Letter:
    # A message as it goes over the wire.
    message_id: str
    sender: str
    recipient: str
    content: bytes


def _written(account: Account, message: Outgoing) -> _Letter | Permanent:
    message_id = f"<{message.delivery_id}@{account.config.from_email.rpartition('@')[2]}>"
    try:
        sender, recipient = mail.in_ascii(account.config.from_email), mail.in_ascii(message.recipient)
    except UnicodeError:
        return Permanent("invalid_address", "The address cannot be written as mail servers want it.")
    try:
        built = mail.compose(account.config, message)
        built.extra_headers["Message-ID"] = message_id
        content = cast("Any", built.message()).as_bytes(linesep="\r\n")
    except (ValueError, UnicodeError) as error:
        return Permanent("invalid_message", str(error)[:300])
    return _Letter(message_id, sender, recipient, content)


# The commands of smtplib.sendmail one by one: it matters whether the connection broke before or after the content.
def _send_one(server: smtplib.SMTP, account: Account, message: Outgoing) -> Verdict:
    letter, written = _written(account, message), False
    if isinstance(letter, Permanent):
        return letter
    try:
        server.ehlo_or_helo_if_needed()
        code, words = server.mail(letter.sender)
        if code in OK:
            code, words = server.rcpt(letter.recipient)
            if code >= PERMANENT:
                _reset(server)
                return _refused_address(code, words)
        if code in OK:
            written = True
            code, words = server.data(letter.content)
    except smtplib.SMTPDataError as error:
        code, words = error.smtp_code, _bytes(error.smtp_error)
    except (OSError, smtplib.SMTPException) as error:
        return Unknown("connection_lost", _words(error)) if written else Transient("connection_lost", _words(error))
    if code in OK:
        return Accepted(letter.message_id)
    _reset(server)
    detail = f"{code} {words.decode(errors='replace')}"[:300]
    return Permanent("refused", detail) if code >= PERMANENT else Transient("deferred", detail)


def _refused_address(code: int, words: bytes) -> Verdict:
    detail = f"{code} {words.decode(errors='replace')}"[:300]
    dead = code in NO_MAILBOX and b"5.7." not in words
    return Permanent("invalid_address" if dead else "refused", detail, dead_address=dead)


def _bytes(words: bytes | str) -> bytes:
    return words.encode() if isinstance(words, str) else words


def _reset(server: smtplib.SMTP) -> None:
    with suppress(OSError, smtplib.SMTPException):
        server.rset()


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
