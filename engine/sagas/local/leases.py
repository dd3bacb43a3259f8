"""
The leases of this process's sagas, renewed by a thread of their own, however busy the loops are.

It also hears what others do to them: who ends one, and who has taken one over because this process was away.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final
from uuid import uuid4

import structlog
from django.db import DatabaseError, InterfaceError, connections

from engine.conf import engine_settings
from engine.connections import execute
from engine.sagas.local.news import Abandoned, Look, News
from engine.sagas.local.pilot import Pilot

log = structlog.get_logger(__name__)

IDLE_S: Final = 5.0
# Of a lease: how long before its end it is renewed, and how often somebody looks.
RENEW_BEFORE: Final = 0.7
LOOK_EVERY: Final = 0.2

# Renews what is due, waiting for nobody, and tells of each whether it is still held, is being ended, and was renewed.
BEAT: Final = """
    WITH due AS MATERIALIZED (
        SELECT id FROM saga_runs
         WHERE id = ANY(%(ids)s) AND lease_holder = %(holder)s
           AND lease_until < clock_timestamp() + %(before)s * interval '1 second'
         ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ), renewed AS (
        UPDATE saga_runs s SET lease_until = clock_timestamp() + %(lease)s * interval '1 second'
          FROM due WHERE s.id = due.id RETURNING s.id
    )
    SELECT s.id, s.lease_holder IS NOT DISTINCT FROM %(holder)s, s.ending IS NOT NULL, renewed.id IS NOT NULL
      FROM saga_runs s LEFT JOIN renewed ON renewed.id = s.id WHERE s.id = ANY(%(ids)s)
"""
GIVE_BACK: Final = "UPDATE saga_runs SET lease_until = clock_timestamp() WHERE id = ANY(%s) AND lease_holder = %s"


class Leases:
    """Who is held by this process. `tell` takes what the beat hears to the journal."""

    def __init__(self, tell: Callable[[Pilot, News], None]) -> None:
        self._tell = tell
        self.forget()

    def forget(self) -> None:
        """Begin anew, as another holder: a forked child holds nothing."""
        self.holder = str(uuid4())
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._pilots: dict[str, Pilot] = {}
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()

    def add(self, pilots: Iterable[Pilot]) -> None:
        """Renew these from now on."""
        with self._lock:
            self._pilots.update((pilot.id, pilot) for pilot in pilots)
            if self._pilots and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="kalcifer-saga-leases", daemon=True)
                self._thread.start()

    def drop(self, pilots: Iterable[Pilot]) -> None:
        """Renew these no longer."""
        with self._lock:
            for pilot in pilots:
                if self._pilots.get(pilot.id) is pilot:
                    del self._pilots[pilot.id]

    def has(self, run_id: str) -> bool:
        """Tell whether this process carries that saga on."""
        with self._lock:
            return run_id in self._pilots

    def close(self) -> None:
        """End the thread and its connection, when nothing is held any more."""
        self._wake.set()
        if (thread := self._thread) is not None:
            thread.join(IDLE_S)

    def _run(self) -> None:
        idle_since = time.monotonic()
        try:
            while True:
                self._wake.wait(engine_settings().lease_s * LOOK_EVERY)
                with self._lock:
                    pilots = list(self._pilots.values())
                    is_over = self._wake.is_set() or time.monotonic() - idle_since > IDLE_S
                    if not pilots and is_over:
                        self._thread = None
                        self._wake.clear()
                        return
                    self._wake.clear()
                if pilots:
                    idle_since = time.monotonic()
                    self._beat(pilots)
        finally:
            connections.close_all()

    def _beat(self, pilots: list[Pilot]) -> None:
        closed = [pilot for pilot in pilots if pilot.runner.loop.is_closed()]
        for pilot in closed:
            self._tell(pilot, Abandoned())
        alive = {pilot.id: pilot for pilot in pilots if not pilot.runner.loop.is_closed()}
        lease_s = engine_settings().lease_s
        asked = time.monotonic()
        try:
            found = self._ask(list(alive), lease_s)
        except (DatabaseError, InterfaceError) as error:
            # The next beat tries again; what runs out meanwhile is not called on.
            log.warning("saga.leases_not_renewed", sagas=len(alive), error=str(error))
            connections.close_all()
            return
        for run_id, pilot in alive.items():
            is_held, is_ending, was_renewed = found.get(run_id, (False, False, False))
            if was_renewed:
                pilot.may_call_until = asked + lease_s
            if not is_held or (is_ending and not pilot.stopping):
                self._tell(pilot, Look())

    def _ask(self, ids: list[str], lease_s: float) -> dict[str, tuple[Any, ...]]:
        given = {"ids": ids, "holder": self.holder, "before": lease_s * RENEW_BEFORE, "lease": lease_s}
        return {row[0]: tuple(row[1:]) for row in execute(BEAT, given).fetchall()}
