"""Which tenant a program means: a Tenant, its id, or nobody in particular, which is the tenant `default`."""

from __future__ import annotations

from uuid import UUID

from engine.connections import one
from engine.errors import InvalidTenant
from tenants.models import DEFAULT_TENANT, Tenant

FIND_DEFAULT = "SELECT id FROM tenants WHERE name = %s"

# Made by migration; asked for when it is first needed, as programs name it before there is a database.
_default: list[str] = []


def key_of(tenant: Tenant | UUID | str | None) -> str:
    """Give the tenant's id as text; the tenant `default` is the empty text, until its id is asked for."""
    if tenant is None:
        return ""
    try:
        return str(tenant.pk if isinstance(tenant, Tenant) else UUID(str(tenant)))
    except ValueError:
        raise InvalidTenant(f"A tenant is given as a Tenant or its id, not {tenant!r}.", attr="tenant") from None


def id_of(key: str) -> str:
    """Give the id of a tenant's key."""
    return key or default_id()


def default_id() -> str:
    """Give the id of the tenant `default`."""
    if not _default:
        found = one(FIND_DEFAULT, [DEFAULT_TENANT])
        if found is None:
            raise InvalidTenant("There is no tenant `default` any more: name the tenant that is meant.", attr="tenant")
        _default.append(str(found))
    return _default[0]
