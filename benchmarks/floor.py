"""What this machine's PostgreSQL can do at all, so that other figures can be read as ratios."""

import time
from typing import Any

import orjson
import psycopg
from django.db import connection
from uuid_utils import uuid7

from engine.connections import raw

JSON = dict[str, Any]

COLUMNS = "event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, data, metadata, recorded_at, tx"
ROWS_PER_COMMIT = 2_000
EVENTS_PER_INSTANCE = 7
DATA = orjson.dumps({"node": "n1", "type": "noop", "branch": None, "result": {}, "next": ["n2"], "attempt": 1}).decode()
METADATA = orjson.dumps({"actor": "engine", "task_id": str(uuid7())}).decode()


def measure(*, quick: bool) -> JSON:
    """One-row commits and copied event rows per second, one client each."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE floor_commits (id uuid PRIMARY KEY, said text)")
        cursor.execute("CREATE TABLE floor_events (LIKE stored_events INCLUDING ALL)")
    try:
        return {
            "commits_per_s": round(_commits(raw(), seconds=1.0 if quick else 3.0)),
            "copied_event_rows_per_s": round(_copied(raw(), commits=10 if quick else 50)),
        }
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE floor_commits, floor_events")


def _commits(on: psycopg.Connection[Any], *, seconds: float) -> float:
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        on.execute("INSERT INTO floor_commits VALUES (%s, 'one row')", [str(uuid7())], prepare=True)
        count += 1
    return count / (time.perf_counter() - began)


def _copied(on: psycopg.Connection[Any], *, commits: int) -> float:
    batches = [_rows() for _ in range(commits)]
    began = time.perf_counter()
    for rows in batches:
        with on.cursor() as cursor, cursor.copy(f"COPY floor_events ({COLUMNS}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    return commits * ROWS_PER_COMMIT / (time.perf_counter() - began)


def _rows() -> list[tuple[Any, ...]]:
    tenant, now = str(uuid7()), "2026-01-01T00:00:00+00:00"
    rows: list[tuple[Any, ...]] = []
    while len(rows) < ROWS_PER_COMMIT:
        instance = str(uuid7())
        rows += [
            (str(uuid7()), tenant, "instance", instance, number, "node_completed", DATA, METADATA, now, 1)
            for number in range(EVENTS_PER_INSTANCE)
        ]
    return rows[:ROWS_PER_COMMIT]
