"""API keys: issued once in the clear, kept as a hash."""

import secrets
from datetime import datetime
from hashlib import sha256

from django.utils.timezone import now

from tenants.models import ApiKey, Role, Tenant

PREFIX_LENGTH = 12


def digest(raw: str) -> str:
    """What is stored of a key. A key is 256 random bits, so a plain hash is enough."""
    return sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()


def issue(
    tenant: Tenant, *, name: str = "", role: str = Role.EDITOR, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key and its raw text, which nobody can find out again."""
    raw = f"kal_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        tenant=tenant, name=name, role=role, expires_at=expires_at, prefix=raw[:PREFIX_LENGTH], api_key_hash=digest(raw)
    )
    return key, raw


def revoke(key: ApiKey) -> None:
    """Take the key out of use, in every process within a second; a second time changes nothing."""
    if key.revoked_at is None:
        key.revoked_at = now()
        key.save(update_fields=["revoked_at"])
