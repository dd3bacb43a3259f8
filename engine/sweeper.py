"""
The sweep: what no doorbell announced is found here.

`sweep` looks at one index each and rings; `run_without_broker` does the work itself, for as long as doorbells fail. The
loop of one process per
host is led by an advisory lock, and harmless when doubled.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import close_old_connections, connections

from engine import activities, activity_worker, chores, clock, event_router, jobs, restarts, schedules, timers
from engine.bells import Bell, ring, ringer
from engine.bus.lanes import Patrol
from engine.conf import engine_settings
from engine.connections import SideConnection, execute
from engine.execution import claim, loop
from engine.projections import rounds
from engine.sagas import loop as sagas
from engine.sagas import recovery
from engine.workflow_scheduler import due as scheduled

logger = logging.getLogger(__name__)

LEADER_KEY = 7_300_911_204
# The near future is announced this often, well within the horizon.
NEAR_EVERY_S = 20.0

# In the parts that have an index each: asked as one, it would read the whole table.
IS_RUNNABLE = """
    SELECT 1 WHERE EXISTS (SELECT 1 FROM flow_instances WHERE runnable AND deaths = 0)
                OR EXISTS (SELECT 1 FROM flow_instances WHERE runnable AND deaths > 0)
                OR (SELECT tenant_id FROM instance_wakes ORDER BY tenant_id LIMIT 1) IS NOT NULL
"""


def sweep() -> None:
    """Ring for whatever is due and was not announced; hand on what dead workers held."""
    claim.bury_the_dead()
    if not restarts.is_recent():
        activities.reclaim({"actor": "sweep", "task_id": ""})
        recovery.take_over({"actor": "sweep", "task_id": ""})
    _patrol.walk()
    for bell, is_due in _LOOKS.items():
        if is_due():
            ring(bell)


def run_without_broker(slice_s: float) -> None:
    """Do whatever is due in this process: the broker is away, and nothing waits for it."""
    event_router.route(slice_s=slice_s, task_id="sweeper")
    timers.wake_due(slice_s=slice_s, task_id="sweeper")
    scheduled.run_due(slice_s=slice_s)
    loop.advance(slice_s=slice_s, task_id="sweeper")
    sagas.run(slice_s=slice_s, task_id="sweeper")
    jobs.run_jobs(slice_s)
    rounds.run(slice_s=slice_s)
    chores.run(slice_s)


def is_runnable() -> bool:
    """Whether any instance is runnable: one look at an index."""
    return execute(IS_RUNNABLE).fetchone() is not None


_patrol = Patrol()
_LOOKS: dict[Bell, Callable[[], bool]] = {
    Bell.ROUTE: event_router.is_waiting,
    Bell.WAKE: lambda: timers.is_due() or scheduled.is_due(),
    Bell.ADVANCE: is_runnable,
    Bell.ACTIVITIES: activities.is_pending,
    Bell.JOBS: jobs.is_waiting,
    Bell.PROJECT: rounds.is_behind,
    Bell.SAGAS: sagas.is_waiting,
    Bell.CHORES: chores.is_due,
}


class Sweeper:
    """The loop of the sweeper process."""

    def __init__(self) -> None:
        self._leadership = SideConnection()
        self._stop = threading.Event()
        self._near_at = 0.0
        self._hands: threading.Thread | None = None

    def stop(self) -> None:
        """Leave after the present round."""
        self._stop.set()

    def run(self) -> None:
        """Sweep once per interval until stopped; a round that fails is logged, and the next one comes."""
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                close_old_connections()
                if self._leads():
                    self.round()
            except Exception:
                logger.exception("sweep.failed")
            self._stop.wait(max(0.05, engine_settings().sweep_interval_s - (time.monotonic() - began)))

    def round(self) -> None:
        """Sweep once, with the broker or without it."""
        sweep()
        schedules.run_due()
        if clock.speed() != 1.0:
            clock.note_seen()
        if not ringer.reaches_broker():
            self._use_hands()
            run_without_broker(engine_settings().slice_s)
        elif time.monotonic() >= self._near_at:
            timers.announce_near()
            scheduled.announce_near()
            self._near_at = time.monotonic() + NEAR_EVERY_S

    # A second look each round would not find a lock that is held: the session that holds it is asked instead.
    def _leads(self) -> bool:
        connection, is_new = self._leadership.get()
        if is_new:
            self._is_leader = False
        if not self._is_leader:
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", [LEADER_KEY]).fetchone()
            self._is_leader = bool(row and row[0])
        else:
            connection.execute("SELECT 1")
        return self._is_leader

    # Side effects may be slow, so they get a thread of their own and never hold up the sweep.
    def _use_hands(self) -> None:
        if self._hands is None or not self._hands.is_alive():
            self._hands = threading.Thread(target=_run_activities, name="sweeper-activities", daemon=True)
            self._hands.start()

    _is_leader = False


def _run_activities() -> None:
    try:
        activity_worker.run(task_id="sweeper")
    except Exception:
        logger.exception("sweep.activities_failed")
    finally:
        # The thread ends here, and its connection with it.
        connections.close_all()
