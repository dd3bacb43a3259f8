"""Pools of codes: filled in bulk, and emptied one message at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import transaction

from engine import clock
from engine.connections import execute
from marketing.models import CouponPool
from tenants.ids import uuid7

# Two attempts at the same message wait for each other here, so that the second finds what the first was given.
HOLD = "SELECT pg_advisory_xact_lock(hashtextextended('coupon:' || key, 0)) FROM unnest(%s::text[]) AS key ORDER BY key"

# What these messages have already; of a pool that was deleted nothing is left.
GIVEN = """
    SELECT p.slug, c.key, c.code
      FROM jsonb_to_recordset(%(wanted)s::jsonb) AS w(pool text, key text)
      JOIN coupon_pools p ON p.tenant_id = %(tenant)s AND p.slug = w.pool
      JOIN coupons c ON c.pool_id = p.id AND c.key = w.key
"""

# As many free codes of each pool as are wanted, oldest first, dealt out in order; codes that another takes are passed.
GIVE = """
    WITH wanted AS (
        SELECT p.id AS pool_id, p.slug, w.key, w.participant_id,
               row_number() OVER (PARTITION BY p.id ORDER BY w.key) AS n
          FROM jsonb_to_recordset(%(wanted)s::jsonb) AS w(pool text, key text, participant_id text)
          JOIN coupon_pools p ON p.tenant_id = %(tenant)s AND p.slug = w.pool
    ), free AS (
        SELECT f.id, q.pool_id, row_number() OVER (PARTITION BY q.pool_id ORDER BY f.id) AS n
          FROM (SELECT pool_id, count(*) AS many FROM wanted GROUP BY pool_id) q
         CROSS JOIN LATERAL (SELECT id FROM coupons WHERE pool_id = q.pool_id AND key IS NULL
                              ORDER BY id LIMIT q.many FOR NO KEY UPDATE SKIP LOCKED) f
    )
    UPDATE coupons c
       SET key = w.key, participant_id = w.participant_id, taken_at = %(now)s
      FROM wanted w JOIN free f ON f.pool_id = w.pool_id AND f.n = w.n
     WHERE c.id = f.id
 RETURNING w.slug, c.key, c.code
"""

# What the pool has already is passed over, and counted by its absence; sorted, so that two uploads wait in one order.
ADD = """
    INSERT INTO coupons (id, tenant_id, pool_id, code, participant_id)
    SELECT n.id, %(tenant)s, %(pool)s, n.code, '' FROM unnest(%(ids)s::uuid[], %(codes)s::text[]) AS n(id, code)
     ORDER BY n.code
        ON CONFLICT (pool_id, code) DO NOTHING
"""
COUNT = "SELECT count(*), count(key) FROM coupons WHERE pool_id = %s"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A code of a pool for a message."""

    pool: str
    key: str
    participant_id: str


def give_many(tenant_id: Any, wanted: Sequence[Wanted]) -> Mapping[tuple[str, str], str]:
    """
    Give codes by (pool, message): the one it has, else a free one; a message for which a pool has none is left out.

    Three statements for any number; a repeated attempt gets the same code, and no two messages get one code.
    """
    if not wanted:
        return {}
    with transaction.atomic():
        execute(HOLD, [sorted({each.key for each in wanted})])
        given = _ask(GIVEN, tenant_id, wanted)
        missing = [each for each in wanted if (each.pool, each.key) not in given]
        return given | _ask(GIVE, tenant_id, missing) if missing else given


def add(pool: CouponPool, codes: Iterable[str]) -> int:
    """Put codes into a pool; give how many it did not have before."""
    several = list(codes)
    ids = [str(uuid7()) for _ in several]
    parameters = {"tenant": str(pool.tenant_id), "pool": str(pool.pk), "ids": ids, "codes": several}
    added: int = execute(ADD, parameters).rowcount
    return added


def counts(pool: CouponPool) -> dict[str, int]:
    """How many codes there are, were given, and are left."""
    total, given = execute(COUNT, [str(pool.pk)]).fetchone() or (0, 0)
    return {"total": total, "given": given, "left": total - given}


def existing(tenant_id: str, slugs: Sequence[str]) -> frozenset[str]:
    """Tell which of the pools there are."""
    return frozenset(CouponPool.objects.filter(tenant_id=tenant_id, slug__in=slugs).values_list("slug", flat=True))


def _ask(statement: str, tenant_id: Any, wanted: Sequence[Wanted]) -> dict[tuple[str, str], str]:
    rows = [{"pool": each.pool, "key": each.key, "participant_id": each.participant_id} for each in wanted]
    parameters = {"tenant": str(tenant_id), "wanted": orjson.dumps(rows).decode(), "now": clock.now()}
    return {(slug, key): code for slug, key, code in execute(statement, parameters).fetchall()}
