"""Signed tokens: what a link is for and for whom, in the address itself; nobody can make one up or change one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hmac import HMAC
from typing import Final
from uuid import UUID

from django.core import signing
from django.utils.crypto import salted_hmac
from django.utils.encoding import force_bytes

from engine import clock

# A new shape of token gets a new salt, and the old one is read for as long as its links may live.
SALT: Final = "kalcifer.links.1"
MAX_LENGTH: Final = 2_048
# Compression makes a short one hardly shorter and costs more than all the rest; where each character is paid for it is
# worth it all the same.
LONG: Final = 300
PAID_BY_LENGTH: Final = frozenset(("sms", "whatsapp"))
# Mails are read late, and a way out has to work when they are.
DEFAULT_TTL: Final = timedelta(days=365)


class Purpose(StrEnum):
    """What a link does."""

    UNSUBSCRIBE = "u"
    CONFIRM = "c"
    GO = "g"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a token says; `name` is the link's slug, `key` the message that it was sent with."""

    purpose: Purpose
    tenant_id: str
    participant_id: str
    channel: str = ""
    topic: str = ""
    name: str = ""
    key: str = ""


class Forged(Exception):
    """The token is none of ours, or was changed."""


class Expired(Exception):
    """The token was ours, and its time is over."""


def sign(ticket: Ticket, *, ttl: timedelta = DEFAULT_TTL) -> str:
    """Give the token of a ticket, good for as long as `ttl`."""
    until = int((clock.now() + ttl).timestamp())
    packed = [
        ticket.purpose.value,
        UUID(ticket.tenant_id).hex,
        ticket.participant_id,
        ticket.channel,
        ticket.topic,
        ticket.name,
        ticket.key,
        until,
    ]
    return _Signer(salt=SALT).sign_object(packed, compress=_is_worth_it(ticket))


def read(token: str) -> Ticket:
    """Give what a token says, or raise Forged or Expired."""
    if len(token) > MAX_LENGTH:
        raise Forged
    try:
        purpose, tenant, participant_id, channel, topic, name, key, until = signing.loads(token, salt=SALT)
        ticket = Ticket(Purpose(purpose), str(UUID(tenant)), participant_id, channel, topic, name, key)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise Forged from error
    if datetime.fromtimestamp(until, clock.now().tzinfo) < clock.now():
        raise Expired
    return ticket


def _is_worth_it(ticket: Ticket) -> bool:
    texts = (ticket.participant_id, ticket.topic, ticket.name, ticket.key)
    return ticket.channel in PAID_BY_LENGTH or sum(map(len, texts)) > LONG or not all(text.isascii() for text in texts)


# Django's own; whatever either signs, the other reads. Only that the key is made ready once and not for each token.
class _Signer(signing.TimestampSigner):
    def signature(self, value: str | bytes, key: str | bytes | None = None) -> str:
        made = _keyed(f"{SALT}signer", key or self.key, self.algorithm).copy()
        made.update(force_bytes(value))
        return signing.b64_encode(made.digest()).decode()


@lru_cache(maxsize=16)
def _keyed(salt: str, key: str | bytes, algorithm: str) -> HMAC:
    return salted_hmac(salt, "", key, algorithm=algorithm)
