"""
The rows of `snapshots`: the newest of each aggregate.

The database computes the digest of what it has stored, over the state and over what the state is of: a row whose state,
place, tenant or type was changed afterwards no longer has the digest that it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from engine.connections import execute

DIGEST = """
    encode(sha256(convert_to(concat_ws(' ', {0}.aggregate_type, {0}.aggregate_id, {0}.tenant_id, {0}.sequence,
                                       {0}.state_version, {0}.state::text), 'UTF8')), 'hex')
"""
COLUMNS = f"""
    s.aggregate_id, s.tenant_id, s.aggregate_type, s.sequence, s.state_version, s.state, s.digest,
    s.digest = {DIGEST.format("s")}
"""

# The snapshot of an aggregate, whole or not.
READ = f"SELECT {COLUMNS} FROM snapshots s WHERE s.aggregate_id = %s"

# Keeps a snapshot unless a newer one is there; `wrong` is the digest of one that was found to be wrong, which gives way
# whatever its place. Whoever takes one for the same aggregate at the same moment is not waited for.
KEEP = f"""
    WITH free AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtextextended('snapshot ' || %(id)s, 0)) AS mine),
         n AS MATERIALIZED (
             SELECT %(id)s::uuid AS aggregate_id, %(tenant)s::uuid AS tenant_id, %(type)s AS aggregate_type,
                    %(sequence)s::bigint AS sequence, %(version)s::int AS state_version, %(state)s::jsonb AS state)
    INSERT INTO snapshots (aggregate_id, tenant_id, aggregate_type, sequence, state_version, state, digest, taken_at)
    SELECT n.aggregate_id, n.tenant_id, n.aggregate_type, n.sequence, n.state_version, n.state,
           {DIGEST.format("n")}, %(now)s::timestamptz
      FROM n, free WHERE free.mine
        ON CONFLICT (aggregate_id) DO UPDATE
       SET tenant_id = excluded.tenant_id, aggregate_type = excluded.aggregate_type, sequence = excluded.sequence,
           state_version = excluded.state_version, state = excluded.state, digest = excluded.digest,
           taken_at = excluded.taken_at
     WHERE (snapshots.state_version, snapshots.sequence) < (excluded.state_version, excluded.sequence)
        OR snapshots.digest = %(wrong)s
"""

# Throws away the one row that was found to be wrong, unless it has been replaced meanwhile or somebody holds it.
DISCARD = """
    DELETE FROM snapshots WHERE aggregate_id = (
        SELECT s.aggregate_id FROM snapshots s WHERE s.aggregate_id = %s AND s.digest = %s FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A row as it is stored; `state` is text, `is_whole` says whether the digest is that of the row."""

    aggregate_id: str
    tenant_id: str
    aggregate_type: str
    sequence: int
    state_version: int
    state: str
    digest: str
    is_whole: bool


def read(aggregate_id: str) -> Kept | None:
    """Give the snapshot of an aggregate as it is stored."""
    found = execute(READ, [aggregate_id]).fetchone()
    return None if found is None else Kept(*found)


def keep(snapshot: Kept, *, now: datetime, wrong: str | None = None) -> bool:
    """Keep a snapshot; False where a newer one is there, or somebody else is keeping one just now."""
    given = {
        "id": snapshot.aggregate_id,
        "tenant": snapshot.tenant_id,
        "type": snapshot.aggregate_type,
        "sequence": snapshot.sequence,
        "version": snapshot.state_version,
        "state": snapshot.state,
        "now": now,
        "wrong": wrong,
    }
    return execute(KEEP, given).rowcount == 1


def discard(snapshot: Kept) -> bool:
    """Throw a wrong snapshot away."""
    return execute(DISCARD, [snapshot.aggregate_id, snapshot.digest]).rowcount == 1


def as_text(state: Any) -> str:
    """
    Write a state as JSON.

    Raises ValueError or TypeError for one that JSON would not bring back the same: NaN, a tuple, a key that is no text.
    """
    text = orjson.dumps(state)
    if orjson.loads(text) != state:
        raise ValueError("It would not come back from JSON as it is: it has to be plain JSON, without NaN or tuples.")
    return text.decode()
