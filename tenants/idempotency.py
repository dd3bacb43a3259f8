"""`Idempotency-Key`: the act happens once, and its answer is given again for 24 hours."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.utils.timezone import now

from tenants import vault
from tenants.errors import IdempotencyInProgress, IdempotencyKeyReused, InvalidIdempotencyKey
from tenants.models import IdempotencyKey

KEPT: Final = timedelta(hours=24)
MAX_LENGTH: Final = 255

# The lock ends with the transaction, after its rows have become visible: whoever gets it sees the stored answer.
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 4242))"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer, and whether it was given before."""

    status: int
    body: bytes
    replayed: bool = False


def check_key(key: str) -> str:
    """The key, when it is one."""
    if not 0 < len(key) <= MAX_LENGTH or not all(" " <= letter <= "~" for letter in key):
        raise InvalidIdempotencyKey(attr="Idempotency-Key")
    return key


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What makes two requests the same."""
    return sha256(b"\n".join((method.encode(), path.rstrip("/").encode("utf-8", "surrogatepass"), body))).hexdigest()


def once(tenant_id: UUID, key: str, *, of: str, act: Callable[[], Answer]) -> Answer:
    """Run `act` in a transaction together with the record of its answer, or give the answer of the first time.

    Only answers of acts that succeeded (2xx) are kept; after a refusal the same key can be used again. While the first
    is running, the second gets `IdempotencyInProgress`.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(TRY_LOCK, [f"{tenant_id}:{key}"])
            if not cursor.fetchone()[0]:
                raise IdempotencyInProgress(retry_after=1)
        stored = IdempotencyKey.objects.for_tenant(tenant_id).filter(key=key).first()
        if stored is not None and stored.created_at > now() - KEPT:
            if stored.fingerprint != of:
                raise IdempotencyKeyReused
            return Answer(stored.status_code, vault.decrypt(stored.body).encode(), replayed=True)
        if stored is not None:
            stored.delete()
        answer = act()
        if 200 <= answer.status < 300:  # noqa: PLR2004  # the class of successes
            # An answer can hold what is shown only once (a raw key), so it is kept encrypted.
            IdempotencyKey.objects.create(
                tenant_id=tenant_id,
                key=key,
                fingerprint=of,
                status_code=answer.status,
                body=vault.encrypt(answer.body.decode()),
            )
        return answer


def prune() -> int:
    """Delete answers that are older than 24 hours; returns how many. For an hourly task."""
    deleted, _ = IdempotencyKey.objects.filter(created_at__lt=now() - KEPT).delete()
    return deleted
