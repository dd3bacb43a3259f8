"""Check everything: share by share here, or in several processes at once."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.db import transaction

from engine.connections import execute, one
from engine.verify import processes, shares, subjects
from engine.verify.differences import Checked

# Events of one share: a transaction of a second or less.
BATCH = 10_000


def count(tenant: UUID | None = None) -> int:
    """Count the rows that are to be checked."""
    with transaction.atomic(durable=True):
        execute(shares.NO_TIME_LIMIT)
        given = {"tenant": str(tenant) if tenant else None}
        return sum(int(one(subject.count, given)) for subject in subjects.ALL.values())


def verify(tenant: UUID | None = None, *, batch: int = BATCH, jobs: int = 1) -> Iterator[Checked]:
    """
    Check every aggregate, of one tenant or of all, in shares of about `batch` events.

    With several jobs the shares are checked by so many processes, and come in any order.
    """
    key = str(tenant) if tenant else None
    found = shares.shares(batch)
    if jobs > 1:
        yield from processes.check_all(found, key, jobs)
    else:
        for share in found:
            yield shares.check(share, key)
