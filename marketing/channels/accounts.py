"""A tenant's accounts with providers, ready to send; read from the database at most every few seconds per process."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final
from uuid import UUID

import orjson
import structlog
from django.conf import settings

from engine import clock
from engine.nodes import config
from engine.nodes.errors import InvalidConfig
from marketing.channels import registry
from marketing.channels.provider import Account
from marketing.channels.registry import UnknownProvider
from marketing.models import Channel
from tenants import vault
from tenants.ids import uuid7
from tenants.models import Tenant
from tenants.vault import UnreadableSecret

KEPT_S: Final = 2.0
KEPT_MOST: Final = 10_000
# The inbox is in our own tables: every tenant has it, and there is nothing to set up.
IN_APP: Final = "in_app"
NO_PROVIDER: Final = "none"

log = structlog.get_logger(__name__)

_kept: dict[tuple[UUID, str, str], tuple[float, Account | None]] = {}


def account_for(tenant_id: UUID | str, channel: str, name: str | None = None) -> Account | None:
    """
    Give the account that carries a channel: the one of this name, else the default one; None where there is none.

    A change reaches every process within a few seconds. With one channel of a kind, it is the default.
    """
    key = (tenant_id if isinstance(tenant_id, UUID) else UUID(tenant_id), channel, name or "")
    known = _kept.get(key)
    if known is not None and known[0] > time.monotonic():
        return known[1]
    if len(_kept) >= KEPT_MOST:
        _kept.clear()
    account = _find(*key)
    _kept[key] = (time.monotonic() + KEPT_S, account)
    return account


def account_of(row: Channel) -> Account | None:
    """Give the account of a row; None, and a line in the log, where its provider or credentials cannot be used."""
    try:
        provider = registry.get(row.provider)
        return Account(
            channel_id=row.pk,
            tenant_id=row.tenant_id,
            channel=row.channel,
            provider=provider,
            config=config.parse(provider.Config, row.config),
            credentials=config.parse(provider.Credentials, credentials_of(row)),
            rate_per_second=row.rate_per_second,
            name=row.name,
        )
    except (UnknownProvider, UnreadableSecret, InvalidConfig) as error:
        # Not the error itself: what cannot be parsed may be a credential.
        log.warning("channel.unusable", channel=str(row.pk), provider=row.provider, because=type(error).__name__)
        return None


def credentials_of(row: Channel) -> dict[str, object]:
    """Give what is kept encrypted of a row, as it was sent; for the code that sends, and for nothing that is shown."""
    return dict(orjson.loads(vault.decrypt(row.ciphertext))) if row.ciphertext else {}


def usable(tenant_id: UUID | str, names: Iterable[str]) -> frozenset[str]:
    """Tell which of these can send: `email` is the channel's default account, `email:backup` one of its own name."""
    wanted = set(names)
    return frozenset(name for name in wanted if account_for(tenant_id, *_split(name)) is not None)


def send_to_log(tenant: Tenant, channels: Iterable[str] = ("email", "sms", "push", "whatsapp")) -> None:
    """Let a tenant's messages go into the log, where a channel has no provider; for samples, demos and benches."""
    now = clock.now()
    Channel.objects.bulk_create(
        [
            Channel(
                id=uuid7(),
                tenant=tenant,
                name=f"log-{channel}",
                channel=channel,
                provider="log",
                is_default=True,
                created_at=now,
                updated_at=now,
            )
            for channel in channels
        ],
        ignore_conflicts=True,
    )
    forget(tenant.pk)


def forget(tenant_id: UUID | None = None) -> None:
    """Read anew what this process has kept, of a tenant or of all."""
    for key in [key for key in _kept if tenant_id is None or key[0] == tenant_id]:
        _kept.pop(key, None)


def _split(name: str) -> tuple[str, str | None]:
    channel, _, own = name.partition(":")
    return channel, own or None


# Of several channels without a default the oldest is as good as any, and always the same.
def _find(tenant_id: UUID, channel: str, name: str) -> Account | None:
    rows = Channel.objects.for_tenant(tenant_id).filter(channel=channel, **({"name": name} if name else {}))
    row = rows.filter(enabled=True).order_by("-is_default", "id").first()
    if row is not None:
        return account_of(row)
    provider = _provider_of(channel)
    # Whoever has switched a channel off wants nothing sent, not even into a log.
    if name or provider == NO_PROVIDER or (channel != IN_APP and rows.exists()):
        return None
    return Account(None, tenant_id, channel, registry.get(provider))


# In somebody else's project nothing goes to a log unless its settings say so.
def _provider_of(channel: str) -> str:
    return IN_APP if channel == IN_APP else str(getattr(settings, "KALCIFER_DEFAULT_PROVIDER", NO_PROVIDER))
