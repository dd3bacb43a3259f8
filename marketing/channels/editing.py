"""Setting up a tenant's channels: everything is checked before it is kept, and credentials go in and never out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
from django.db import IntegrityError, transaction

from engine import clock
from engine.nodes import config
from engine.nodes.errors import InvalidConfig
from marketing.channels import accounts, registry
from marketing.channels.provider import DESTINATION
from marketing.channels.registry import UnknownProvider
from marketing.models import CHANNELS, Channel
from tenants import vault
from tenants.errors import Invalid, NameTaken, Problem
from tenants.models import Tenant
from tenants.vault import UnreadableSecret

JSON = dict[str, Any]
PLAIN: Final = ("name", "is_default", "enabled", "rate_per_second", "config")


def create(tenant: Tenant, given: Mapping[str, Any]) -> Channel:
    """Set up a channel; the first of its kind is the default. Raises Invalid or NameTaken."""
    row = prepared(begun(tenant, given), given)
    with transaction.atomic():
        others = Channel.objects.for_tenant(tenant).filter(channel=row.channel, is_default=True)
        if "is_default" not in given:
            row.is_default = not others.exists()
        _save(row)
    return row


def change(row: Channel, given: Mapping[str, Any]) -> Channel:
    """Change a channel; credentials that are given replace all that there were, others stay."""
    prepared(row, given)
    with transaction.atomic():
        _save(row)
    return row


def begun(tenant: Tenant, given: Mapping[str, Any]) -> Channel:
    """A channel that is not kept yet."""
    now = clock.now()
    return Channel(tenant=tenant, channel=given["channel"], provider=given["provider"], created_at=now, updated_at=now)


def prepared(row: Channel, given: Mapping[str, Any]) -> Channel:
    """The row as it would be kept; raises Invalid with everything that is wrong with it."""
    before = _destination(row)
    for name in PLAIN:
        if name in given:
            setattr(row, name, given[name])
    row.updated_at = clock.now()
    if "credentials" in given:
        _check(row, given["credentials"])
        row.ciphertext = _encrypted(given["credentials"])
        return row
    if row.ciphertext and _destination(row) != before:
        detail = "With another address the credentials have to be given anew: they would be sent there."
        raise Invalid([Problem("required", detail, "credentials")])
    _check(row, _known_credentials(row))
    return row


def delete(row: Channel) -> None:
    """Take a channel away; what is queued for it goes by another, or fails for want of one."""
    tenant_id = row.tenant_id
    row.delete()
    accounts.forget(tenant_id)


def _check(row: Channel, credentials: Any) -> None:
    if problems := list(_problems(row, credentials)):
        raise Invalid(problems)


def _encrypted(credentials: Mapping[str, Any]) -> str:
    return vault.encrypt(orjson.dumps(dict(credentials)).decode()) if credentials else ""


# What cannot be read any more has to be given anew, and the check says so.
def _known_credentials(row: Channel) -> JSON:
    try:
        return accounts.credentials_of(row)
    except UnreadableSecret:
        return {}


def _problems(row: Channel, credentials: Any) -> Iterator[Problem]:
    if row.channel not in CHANNELS:
        yield Problem("invalid_choice", f"Known channels are {', '.join(CHANNELS)}.", "channel")
        return
    try:
        provider = registry.get(row.provider)
    except UnknownProvider:
        names = ", ".join(each.name for each in registry.all() if row.channel in each.channels)
        detail = f"There is no such provider; for {row.channel} there are {names}."
        yield Problem("unknown_provider", detail, "provider")
        return
    if row.channel not in provider.channels:
        channels = ", ".join(sorted(provider.channels))
        yield Problem("unknown_provider", f"{provider.title} carries {channels}, not {row.channel}.", "provider")
        return
    yield from _misfits(provider.Config, row.config, "config")
    yield from _misfits(provider.Credentials, credentials, "credentials")


# Whoever may change where messages go could otherwise have the credentials sent to a place of theirs, and read them.
def _destination(row: Channel) -> JSON:
    try:
        fields = registry.get(row.provider).Config.model_fields
    except UnknownProvider:
        return {}
    marked = [name for name, each in fields.items() if each.json_schema_extra == DESTINATION]
    return {name: row.config.get(name, fields[name].default) for name in marked}


def _misfits(cls: type, value: Any, place: str) -> Iterator[Problem]:
    try:
        config.parse(cls, value)
    except InvalidConfig as error:
        for problem in error.problems:
            attr = f"{place}.{problem.path}" if problem.path else place
            yield Problem("invalid", f"{problem.message[:1].upper()}{problem.message[1:]}.", attr)


# A new default takes the place of the old one in the same transaction; the row of the old one is locked first, so that
# of two that are made the default at once one wins and the other is told.
def _save(row: Channel) -> None:
    if row.is_default:
        others = Channel.objects.for_tenant(row.tenant_id).filter(channel=row.channel, is_default=True)
        others.exclude(pk=row.pk).update(is_default=False)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        if "channel_one_default" in str(error):
            raise NameTaken("Another channel was made the default at the same moment.", attr="is_default") from error
        raise NameTaken("There is a channel of this name.", attr="name") from error
    tenant_id = row.tenant_id
    transaction.on_commit(lambda: accounts.forget(tenant_id))
