"""Which instances a batch takes, fairly, and how a batch that kills its worker is found out."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from engine.conf import engine_settings
from engine.connections import SideConnection, execute
from engine.execution import rows, wakes
from tenants.ids import uuid7

# Takes runnable instances, an equal share per tenant that has any, higher priority first. The recursive part hops from
# tenant to tenant on the index, so its cost is the number of tenants with work. Instances of a paused flow are taken
# too, and set aside by `set_aside`; their flows are asked one by one, as a join may be planned to begin with everything
# that is runnable.
TAKE = f"""
    WITH RECURSIVE busy AS (
        (SELECT tenant_id FROM flow_instances WHERE runnable AND deaths = 0 ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT i.tenant_id FROM flow_instances i
                 WHERE i.runnable AND i.deaths = 0 AND i.tenant_id > busy.tenant_id ORDER BY i.tenant_id LIMIT 1)
          FROM busy WHERE busy.tenant_id IS NOT NULL
    ), share AS MATERIALIZED (
        SELECT tenant_id, greatest(1, %(limit)s / count(*) OVER ())::int AS most
          FROM busy WHERE tenant_id IS NOT NULL ORDER BY random() LIMIT %(limit)s
    )
    SELECT {rows.COLUMNS}, taken.paused
      FROM share CROSS JOIN LATERAL (
        SELECT i.*, (SELECT f.status = 'paused' FROM flows f WHERE f.id = i.flow_id) AS paused
          FROM flow_instances i
         WHERE i.tenant_id = share.tenant_id AND i.runnable AND i.deaths = 0
         ORDER BY i.priority DESC, i.id
         LIMIT share.most
           FOR NO KEY UPDATE SKIP LOCKED
      ) AS taken
"""

# Takes instances that were claimed when a worker died. They are run one by one, each named alone while it runs, so that
# none can take another along.
TAKE_SUSPECTS = f"""
    SELECT {rows.COLUMNS}, f.status = 'paused' AS paused
      FROM flow_instances taken JOIN flows f ON f.id = taken.flow_id
     WHERE taken.runnable AND taken.deaths > 0 ORDER BY taken.id LIMIT 50
       FOR NO KEY UPDATE OF taken SKIP LOCKED
"""

# Takes the named ones again, after a batch had to be undone.
TAKE_AGAIN = f"""
    SELECT {rows.COLUMNS}, f.status = 'paused' AS paused
      FROM flow_instances taken JOIN flows f ON f.id = taken.flow_id
     WHERE taken.id = ANY(%(ids)s) AND (taken.runnable OR {wakes.HAS_WAKE}) ORDER BY taken.id
       FOR NO KEY UPDATE OF taken SKIP LOCKED
"""

# Sets the runnable mark of a paused flow's instances aside. A flow that is being resumed at this moment is locked and
# passed over: its resume sets every mark again when it commits.
SET_ASIDE = """
    WITH still_paused AS MATERIALIZED (
        SELECT id FROM flows WHERE id IN (SELECT flow_id FROM flow_instances WHERE id = ANY(%(ids)s))
            AND status = 'paused'
           FOR SHARE SKIP LOCKED
    )
    UPDATE flow_instances SET runnable = false WHERE id = ANY(%(ids)s) AND flow_id IN (SELECT id FROM still_paused)
"""

# Whoever was marked and has nothing to do leaves the runnable index.
UNMARK = "UPDATE flow_instances SET runnable = false, deaths = 0 WHERE id = ANY(%s) AND (runnable OR deaths > 0)"

ANNOUNCE = """
    INSERT INTO batch_claims (id, worker_key, worker, task_id, instance_ids, started_at)
    VALUES (%s, %s, %s, %s, %s, clock_timestamp())
"""
# A loop looks for dead workers this often; whom they left behind is then run one by one.
BURIAL_EVERY_S = 0.25

# A claim is there at once for everybody, and need not wait for the disk: a crash of the server that took it away has
# undone its batch too.
INTRODUCE = "SELECT pg_advisory_lock(%s), set_config('synchronous_commit', 'off', false)"
NAME = "UPDATE batch_claims SET instance_ids = %s WHERE id = %s"
WITHDRAW = "DELETE FROM batch_claims WHERE id = ANY(%s::uuid[])"

# Marks the instances of dead workers' claims. One that was claimed alone has one more death on it; one of a batch is
# only under suspicion. A build of a projection that a dead worker had in hand is read place by place from there on, so
# that the next death is that of one event; where somebody else has taken it up already, it is for that worker to live
# or die. Whoever gets the advisory lock of a worker knows that it is dead; the transaction's end gives the lock back.
SUSPECTS = 1000
BURY = f"""
    WITH dead AS (
        DELETE FROM batch_claims
         WHERE id IN (SELECT id FROM batch_claims WHERE worker_key <> %(mine)s FOR UPDATE SKIP LOCKED)
           AND pg_try_advisory_xact_lock(worker_key)
        RETURNING instance_ids
    ), named AS (
        SELECT unnest(instance_ids) AS id, cardinality(instance_ids) = 1 AS alone FROM dead
    ), readers AS (
        UPDATE projection_checkpoints c SET deaths = c.deaths + 1, suspects = greatest(c.suspects, {SUSPECTS})
         WHERE c.id IN (SELECT id FROM projection_checkpoints WHERE id IN (SELECT id FROM named)
                           FOR NO KEY UPDATE SKIP LOCKED)
    )
    UPDATE flow_instances i SET deaths = CASE WHEN named.alone THEN i.deaths + 1 ELSE greatest(i.deaths, 1) END
      FROM named WHERE i.id = named.id
"""
ANY_CLAIMS = "SELECT 1 FROM batch_claims WHERE worker_key <> %(mine)s LIMIT 1"


class Announcer:
    """
    Says, before a batch runs and outside of its transaction, which instances this process is about to touch.

    Its session holds an advisory lock for as long as the process lives: that is what tells a dead worker's claim from a
    slow one's.
    """

    def __init__(self) -> None:
        self._side = SideConnection()
        self._guard = threading.RLock()
        self.worker_key = 0

    def announce(self, ids: list[str], *, task_id: str) -> str:
        """Commit the claim row of a batch and give its id."""
        claim_id = str(uuid7())
        with self._guard:
            connection = self._connected()
            connection.execute(ANNOUNCE, [claim_id, self.worker_key, worker_name(), task_id, ids], prepare=True)
        return claim_id

    def name(self, claim_id: str, ids: list[str]) -> None:
        """Say anew whom this claim is about."""
        with self._guard:
            self._connected().execute(NAME, [ids, claim_id], prepare=True)

    def withdraw(self, claim_ids: list[str]) -> None:
        """Take back the claims of an undone batch; if the connection is gone, so is the lock, and they are buried."""
        with self._guard, suppress(psycopg.Error):
            self._connected().execute(WITHDRAW, [claim_ids])

    def key(self) -> int:
        """Give this process's worker key."""
        with self._guard:
            self._connected()
            return self.worker_key

    def _connected(self) -> psycopg.Connection[Any]:
        connection, is_new = self._side.get()
        if is_new:
            self.worker_key = secrets.randbits(62)
            connection.execute(INTRODUCE, [self.worker_key])
        return connection


announcer = Announcer()


class Claims:
    """What one transaction says that it is about to run; nothing of it outlives the transaction, however it ends."""

    def __init__(self, task_id: str) -> None:
        self._task_id = task_id
        self.ids: list[str] = []

    def announce(self, ids: list[str]) -> str:
        """Commit a claim row for these instances and give its id."""
        claim_id = announcer.announce(ids, task_id=self._task_id)
        self.ids.append(claim_id)
        return claim_id

    def close(self) -> None:
        """Delete the rows together with what the transaction writes."""
        if self.ids:
            execute(WITHDRAW, [self.ids])

    def withdraw(self) -> None:
        """Delete the rows of a transaction that was undone."""
        if self.ids:
            announcer.withdraw(self.ids)


@contextmanager
def claims(task_id: str) -> Iterator[Claims]:
    """Give the claims of the transaction inside of it; undone with it."""
    made = Claims(task_id)
    try:
        yield made
    except BaseException:
        made.withdraw()
        raise


_next_burial = [0.0]


def worker_name() -> str:
    """Name this process for people."""
    return f"{socket.gethostname()}:{os.getpid()}"


def take(limit: int, *, woken_first: bool = False) -> list[rows.Row]:
    """
    Lock up to `limit` instances that are marked runnable, else such that are woken, in the caller's transaction.

    Who asks again and again changes `woken_first` each time, so that neither kind starves the other.
    """
    first, second = (wakes.take, take_marked) if woken_first else (take_marked, wakes.take)
    return first(limit) or second(limit)


def take_marked(limit: int) -> list[rows.Row]:
    """Lock up to `limit` instances of the runnable index."""
    return rows.fetch(TAKE, {"limit": limit})


def take_suspects() -> list[rows.Row]:
    """Lock instances that have a death on them."""
    return rows.fetch(TAKE_SUSPECTS, {})


def take_again(ids: list[str]) -> list[rows.Row]:
    """Lock the named instances that are still runnable."""
    found = rows.fetch(TAKE_AGAIN, {"ids": ids})
    wakes.forget(found)
    return found


def set_aside(ids: list[str]) -> None:
    """Take instances of paused flows out of the runnable index until their flow is resumed."""
    execute(SET_ASIDE, {"ids": ids})


def unmark(ids: list[str]) -> None:
    """Take instances that have nothing to do out of the runnable index."""
    execute(UNMARK, [ids])


def bury_the_dead() -> int:
    """Find claims of workers that are gone; give the number of instances that must now run alone."""
    mine = {"mine": announcer.key()}
    if execute(ANY_CLAIMS, mine).fetchone() is None:
        return 0
    return execute(BURY, mine).rowcount


def bury_the_dead_now_and_then() -> None:
    """Look for dead workers' claims, unless this process has looked a moment ago."""
    if time.monotonic() >= _next_burial[0]:
        _next_burial[0] = time.monotonic() + BURIAL_EVERY_S
        bury_the_dead()


def is_quarantined(row: rows.Row) -> bool:
    """Whether this instance has taken as many worker processes along as an instance may."""
    return row.deaths >= engine_settings().max_deaths
