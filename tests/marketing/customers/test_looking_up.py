"""The customers of a batch are looked up by their key, also before the planner knows anything of the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from engine.connections import execute
from marketing.consent import lookup as consents
from marketing.customers import store
from marketing.segments import lookup as segments
from tenants.models import Tenant

MANY = """
    INSERT INTO customers (id, tenant_id, external_id, email, phone, name, timezone, locale, properties, tags,
                           preferences, state, merged_into, created_at, updated_at)
    SELECT gen_random_uuid(), %s, 'c' || i, '', '', '', '', '', '{}', '{}', '{}', 'active', '', now(), now()
      FROM generate_series(1, 5000) i
"""
WHO = [f"c{number}" for number in range(1, 501)]


def rows_of(plan: dict[str, Any]) -> Iterator[float]:
    yield (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    for below in plan.get("Plans", ()):
        yield from rows_of(below)


@pytest.mark.parametrize("statement", [store.FETCH, store.LOCK, consents.PREFERENCES, segments.MEMBERSHIPS])
def test_a_batch_reads_no_more_than_its_own_customers(tenant: Tenant, statement: str) -> None:
    execute("TRUNCATE customers CASCADE")
    execute(MANY, [tenant.pk])

    asked = {"tenant": tenant.pk, "who": WHO, "names": ["nobody"]}
    found = execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", asked).fetchone()[0]

    plan = (orjson.loads(found) if isinstance(found, str | bytes) else found)[0]["Plan"]
    assert max(rows_of(plan)) <= 2 * len(WHO)
