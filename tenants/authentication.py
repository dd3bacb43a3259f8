"""Bearer keys: who calls, for which tenant, with which role."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, Func, Q
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from tenants import keys
from tenants.models import ApiKey, Role, Tenant

CACHE_SECONDS: Final = 1.0
CACHE_SIZE: Final = 10_000
TOUCH_EVERY: Final = timedelta(minutes=1)


class WallTime(Func):
    """The time of day at the database, also in the middle of a transaction."""

    function = "clock_timestamp"
    arity = 0
    output_field = DateTimeField()


@dataclass(frozen=True, slots=True)
class Principal:
    """A key that was valid when it was looked up; the two deadlines are on the process's monotonic clock."""

    key_id: UUID
    prefix: str
    role: Role
    tenant: Tenant
    fresh_until: float
    expires: float

    is_authenticated = True

    @property
    def actor(self) -> str:
        """Who did it, for records: `key:<prefix>`."""
        return f"key:{self.prefix}"


_cache: dict[str, Principal] = {}
_touch_after: dict[UUID, float] = {}


def forget() -> None:
    """Empty this process's memory of keys."""
    _cache.clear()
    _touch_after.clear()


def identify(raw: str) -> Principal:
    """Who holds this key; `AuthenticationFailed` when it is unknown, expired or revoked.

    A revocation is seen within `CACHE_SECONDS`, an expiry at its very moment.
    """
    digest = keys.digest(raw)
    now = time.monotonic()
    found = _cache.get(digest)
    if found is None or found.fresh_until <= now:
        found = _look_up(digest, now)
    if found.expires <= now:
        raise AuthenticationFailed("The API key has expired; ask an admin of the tenant for a new one.", "key_expired")
    return found


def _look_up(digest: str, now: float) -> Principal:
    row = ApiKey.objects.select_related("tenant").annotate(checked_at=WallTime()).filter(api_key_hash=digest).first()
    if row is None:
        _cache.pop(digest, None)
        raise AuthenticationFailed("There is no such API key.", "authentication_failed")
    if row.revoked_at is not None and row.revoked_at <= row.checked_at:
        _cache.pop(digest, None)
        raise AuthenticationFailed("The API key was revoked; use another one.", "key_revoked")
    expires = now + (row.expires_at - row.checked_at).total_seconds() if row.expires_at else float("inf")
    found = Principal(row.pk, row.prefix, Role(row.role), row.tenant, now + CACHE_SECONDS, expires)
    if len(_cache) >= CACHE_SIZE:
        _cache.clear()
    _cache[digest] = found
    if expires > now and _touch_after.get(row.pk, 0.0) <= now:
        _touch_after[row.pk] = now + TOUCH_EVERY.total_seconds()
        transaction.on_commit(lambda: _touch(row.pk), robust=True)
    return found


def _touch(key_id: UUID) -> None:
    # Many processes remember their own minute; the condition keeps it to one write a minute among all of them.
    due = Q(last_used_at=None) | Q(last_used_at__lt=WallTime() - TOUCH_EVERY)
    ApiKey.objects.filter(due, pk=key_id).update(last_used_at=WallTime())


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key>`; anything else is a 401 that says so in `WWW-Authenticate`."""

    def authenticate(self, request: Request) -> tuple[Principal, Principal] | None:
        """The principal; None without the header."""
        scheme, _, raw = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer" or not raw.strip():
            raise AuthenticationFailed("Send the API key as 'Authorization: Bearer <key>'.", "authentication_failed")
        found = identify(raw.strip())
        return found, found

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return "Bearer"
