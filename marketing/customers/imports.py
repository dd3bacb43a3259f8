"""
Imports, chunk by chunk, in the background.

A chunk is one transaction: its customers, its deletion and the job's progress. Whoever dies in it leaves all as it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.db import DataError, transaction

from engine import chores, clock
from engine.chores import Chore
from engine.connections import execute
from marketing.customers import import_rows
from marketing.customers.import_rows import Bad, Row
from marketing.segments import changes
from tenants.ids import uuid7

JSON = dict[str, Any]

# Beyond so many the refusals are only counted.
MAX_ERRORS: Final = 1000

IS_DUE = "SELECT 1 FROM import_chunks LIMIT 1"
# One job at a time per worker, its chunks in their order: of two records of one customer the later one counts.
TAKE = """
    SELECT j.id, j.tenant_id, j.status, j.params FROM jobs j
     WHERE j.id IN (SELECT DISTINCT job_id FROM import_chunks)
     ORDER BY random() LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""
NEXT = "SELECT id, first_line, content FROM import_chunks WHERE job_id = %s ORDER BY number LIMIT 1"
DONE_WITH = "DELETE FROM import_chunks WHERE id = %s"
FORGET = "DELETE FROM import_chunks WHERE job_id = %s"
PROGRESS = """
    UPDATE jobs SET status = 'running', done = done + %(done)s, succeeded = succeeded + %(done)s - %(refused)s,
           refused = refused + %(refused)s,
           errors = CASE WHEN jsonb_array_length(errors) < %(most)s THEN errors || %(errors)s::jsonb ELSE errors END
     WHERE id = %(id)s
"""
# Lines between quotes were counted as records before; now it is known how many there were.
COMPLETE = """
    UPDATE jobs SET status = 'completed', matched = done, completed_at = clock_timestamp()
     WHERE id = %(id)s AND NOT EXISTS (SELECT 1 FROM import_chunks WHERE job_id = %(id)s)
"""
# In the order in which every batch locks customers. Who is merged or being erased stays as it is, and is missing from
# what this gives.
UPSERT = """
    INSERT INTO customers AS c (id, tenant_id, external_id, email, phone, name, timezone, locale, properties, tags,
                                preferences, state, merged_into, created_at, updated_at)
    SELECT n.id, %(tenant)s, n.external_id, coalesce(n.email, ''), coalesce(n.phone, ''), coalesce(n.name, ''),
           coalesce(n.timezone, ''), coalesce(n.locale, ''), n.properties, n.tags, '{}', 'active', '', %(now)s, %(now)s
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS n(id uuid, external_id text, email text, phone text, name text,
           timezone text, locale text, properties jsonb, tags text[])
     ORDER BY n.external_id
        ON CONFLICT (tenant_id, external_id) DO NOTHING
 RETURNING c.external_id
"""
CHANGE = """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(external_id text, email text, phone text, name text,
               timezone text, locale text, properties jsonb, gone text[], tags text[])
    ), locked AS (
        SELECT c.id, c.external_id FROM customers c
         WHERE c.tenant_id = %(tenant)s AND c.external_id IN (SELECT external_id FROM given) AND c.state = 'active'
         ORDER BY c.external_id FOR NO KEY UPDATE
    )
    UPDATE customers c
       SET email = coalesce(n.email, c.email), phone = coalesce(n.phone, c.phone), name = coalesce(n.name, c.name),
           timezone = coalesce(n.timezone, c.timezone), locale = coalesce(n.locale, c.locale),
           properties = (c.properties - n.gone) || n.properties,
           tags = (SELECT coalesce(array_agg(t.tag ORDER BY t.first), '{}') FROM (
                       SELECT tag, min(place) AS first
                         FROM unnest(c.tags || n.tags) WITH ORDINALITY AS u(tag, place) GROUP BY tag) AS t),
           updated_at = %(now)s
      FROM given n JOIN locked l USING (external_id)
     WHERE c.id = l.id
 RETURNING c.external_id
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """An import under the lock of its job."""

    id: str
    tenant_id: str
    status: str
    params: JSON


def connect() -> None:
    """Have imports done in the background."""
    chores.register(Chore("import", is_due, run))


def is_due() -> bool:
    """Whether any import has chunks left."""
    return execute(IS_DUE).fetchone() is not None


def run(slice_s: float) -> bool:
    """Import chunks until none is left, or the slice is over."""
    until, did = time.monotonic() + slice_s, False
    while import_some():
        did = True
        if time.monotonic() >= until:
            chores.ring_on_commit()
            break
    return did


def import_some() -> bool:
    """Import one chunk of one job; False where no job is open and free."""
    with transaction.atomic(durable=True):
        row = execute(TAKE).fetchone()
        if row is None:
            return False
        job = Taken(row[0], row[1], row[2], orjson.loads(row[3]))
        chunk = execute(NEXT, [job.id]).fetchone()
        if job.status not in {"queued", "running"} or chunk is None:
            execute(FORGET, [job.id])
            return True
        key, first_line, content = chunk
        _import(job, import_rows.read(content, first_line, **job.params))
        execute(DONE_WITH, [key])
        execute(COMPLETE, {"id": job.id})
    return True


def _import(job: Taken, records: Iterable[Row | Bad]) -> None:
    everything = list(records)
    rows = [each for each in everything if isinstance(each, Row)]
    bad = [each for each in everything if isinstance(each, Bad)]
    for passage in _passages(rows):
        bad += _store(job.tenant_id, passage)
    bad.sort(key=lambda each: each.line)
    told = [{"line": each.line, "code": each.code, "detail": each.detail} for each in bad[:MAX_ERRORS]]
    parameters = {"id": job.id, "done": len(everything), "refused": len(bad)}
    execute(PROGRESS, parameters | {"errors": orjson.dumps(told).decode(), "most": MAX_ERRORS})


# A statement can touch a row once, so the second record of a customer waits for the second one.
def _passages(rows: Sequence[Row]) -> list[list[Row]]:
    found: list[list[Row]] = []
    seen: dict[str, int] = {}
    for row in rows:
        place = seen.get(row.external_id, -1) + 1
        seen[row.external_id] = place
        if place == len(found):
            found.append([])
        found[place].append(row)
    return found


# A value that PostgreSQL does not take: halve until its record stands alone.
def _store(tenant_id: str, rows: Sequence[Row]) -> list[Bad]:
    try:
        with transaction.atomic():
            return _write(tenant_id, rows)
    except DataError as error:
        if len(rows) == 1:
            return [Bad(rows[0].line, "invalid_value", f"This cannot be stored: {str(error).splitlines()[0]}")]
    middle = len(rows) // 2
    return _store(tenant_id, rows[:middle]) + _store(tenant_id, rows[middle:])


def _write(tenant_id: str, rows: Sequence[Row]) -> list[Bad]:
    parameters = {"tenant": tenant_id, "now": clock.now(), "rows": _as_json(rows)}
    written = {row[0] for row in execute(UPSERT, parameters).fetchall()}
    fresh = sorted(written)
    if known := [row for row in rows if row.external_id not in written]:
        written |= {row[0] for row in execute(CHANGE, parameters | {"rows": _as_json(known)}).fetchall()}
    changes.note(tenant_id, fresh, {"fields": [changes.EVERYTHING]})
    read = sorted({name for row in known for name in (*row.columns, *row.properties, *row.gone)})
    moved = [row.external_id for row in known if row.external_id in written]
    changes.note(tenant_id, moved, {"fields": read, "tags": any(row.tags for row in known)})
    detail = "This customer is merged into another, or is being erased."
    return [Bad(row.line, "not_active", detail) for row in rows if row.external_id not in written]


def _as_json(rows: Sequence[Row]) -> str:
    return orjson.dumps(
        [
            {
                "id": str(uuid7()),
                "external_id": row.external_id,
                **row.columns,
                "properties": row.properties,
                "gone": row.gone,
                "tags": row.tags,
            }
            for row in rows
        ]
    ).decode()
