"""Does side effects: leases them, calls their handlers on threads, records what came of them in groups."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import InterfaceError, OperationalError, close_old_connections

from engine import activities, activity_handlers, handing_back, lateness
from engine.conf import engine_settings
from engine.execution.claim import worker_name
from engine.hands import Hands, Hold
from engine.leases import Ended, Lease
from engine.nodes.outcomes import Failed
from engine.ports import Busy

logger = logging.getLogger(__name__)

# While handlers are quick a process leases more than it has threads; when they are slow, no more than it can do.
MOST_AT_ONCE = 250
QUICK_S = 0.05
HEARTBEATS_PER_LEASE = 3
SUSPECTS_EVERY_S = 1.0
LOOK_EVERY_S = 0.5
# What found no free thread for so long is handed back.
BEGIN_WITHIN_S = 1.0
# What was put off is tried again after so long.
PUT_OFF_S = 1.0
# What ends within such a moment is recorded together.
TOGETHER_S = 0.003


class ActivityWorker:
    """
    One process's hands. `run` returns when nothing is due and nothing runs; a second caller returns at once.

    `take` leases something else than whatever is due: so many at most.
    """

    def __init__(self, *, take: Callable[[int], list[Lease]] | None = None, threads: int | None = None) -> None:
        self._take = take
        self._alone = threading.Lock()
        self._rung = threading.Event()
        self._threads = threads or engine_settings().activity_threads
        self._hands = Hands(self._threads)
        self._running: dict[Hold, None] = {}
        # Those of them that are overdue and awaited all the same; each has another thread in its place.
        self._awaited: set[Hold] = set()
        self._untold: list[Lease] = []
        self._abandoned: set[Hold] = set()
        self._unrecorded: list[Ended] = []
        self._put_off: list[Lease] = []
        self._appetite = self._threads
        self._beat_at = 0.0
        self._suspects_at = 0.0
        self._stopping = False

    def run(self, *, slice_s: float = math.inf, task_id: str = "") -> int:
        """
        Work until nothing is due and nothing runs; give the number of attempts made.

        A slow call holds up no other: as long as hands are free, what is due is leased. After `slice_s`, or once told
        to stop, nothing
        new is begun.
        """
        until, done = time.monotonic() + slice_s, 0
        while self._alone.acquire(blocking=False):
            try:
                done += self._work(until, {"actor": "activity", "task_id": task_id})
            finally:
                self._alone.release()
            # A colleague who came between the last look and the release has rung and gone.
            if not self._rung.is_set() or self._stopping:
                return done
        # Whoever works may have looked a moment too early.
        self._ring()
        return done

    def stop(self) -> None:
        """Begin nothing new; what is running ends, or its lease does."""
        self._stopping = True
        self._ring()

    def close(self) -> None:
        """Let the threads go; for hands that are used once."""
        self._hands.let_go()

    def _ring(self) -> None:
        self._rung.set()
        self._hands.nudge()

    def _work(self, until: float, metadata: dict[str, Any]) -> int:
        done = 0
        self._suspects_at = 0.0
        while True:
            self._rung.clear()
            try:
                recorded = self._turn(until, metadata)
            except (OperationalError, InterfaceError):
                # What runs or is not recorded yet is this process's to see through: nobody else knows of it.
                if self._stopping or not (self._running or self._unrecorded):
                    raise
                logger.warning("activity.database_away", exc_info=True)
                close_old_connections()
                time.sleep(LOOK_EVERY_S)
                continue
            if recorded is None:
                return done
            done += recorded

    # Gives how many outcomes were recorded; None when there is nothing left to do.
    def _turn(self, until: float, metadata: dict[str, Any]) -> int | None:
        leased = self._lease() if time.monotonic() < until and not self._stopping else []
        awaited = not self._stopping and self._awaited
        busy = leased or len(self._running) > len(self._awaited) or awaited or self._unrecorded or self._put_off
        if not busy and (not self._rung.is_set() or self._stopping):
            return None
        self._submit(leased)
        # Kept until it is recorded, and its lease with it: it has been done.
        self._unrecorded += self._harvest()
        self._hand_back()
        self._tell_of_late_ones()
        if time.monotonic() >= self._beat_at and (self._running or self._unrecorded):
            kept = [hold.lease for hold in self._running] + [each.lease for each in self._unrecorded]
            activities.renew(kept, worker_name())
            self._beat_at = time.monotonic() + engine_settings().lease_s / HEARTBEATS_PER_LEASE
        recorded = len(self._unrecorded)
        if recorded:
            activities.record(self._unrecorded, metadata)
            self._unrecorded = []
        return recorded

    # What has killed a process before runs with nothing beside it, so new work waits until the hands are free.
    def _lease(self) -> list[Lease]:
        if self._take is not None:
            return self._take(MOST_AT_ONCE)
        if time.monotonic() >= self._suspects_at:
            if not self._running:
                suspect = activities.take_suspect(worker_name())
                if suspect:
                    return suspect
                self._suspects_at = time.monotonic() + SUSPECTS_EVERY_S
            elif activities.has_suspects():
                return []
        busy = len(self._running) - len(self._awaited)
        room = min(self._appetite, MOST_AT_ONCE) - busy - len(self._abandoned)
        return activities.take(room, worker_name()) if room > 0 else []

    def _submit(self, leased: Sequence[Lease]) -> None:
        if not leased:
            return
        now = time.monotonic()
        holds = [Hold(lease, call, now) for lease, call in zip(leased, activity_handlers.calls(leased), strict=True)]
        self._running |= dict.fromkeys(holds)
        self._hands.give(holds, busy=len(self._running) + len(self._abandoned))
        self._beat_at = min(self._beat_at, now + engine_settings().lease_s / HEARTBEATS_PER_LEASE)

    def _harvest(self) -> list[Ended]:
        if not self._running:
            return []
        began, expected = time.monotonic(), max(1, len(self._running) - len(self._awaited))
        found = self._hands.collect(expected=expected, within_s=LOOK_EVERY_S, grace_s=TOGETHER_S)
        # One that was given up as overdue says its word too late, but its thread is free again.
        finished = [hold for hold in found if hold in self._running]
        self._abandoned.difference_update(found)
        quick = len(finished) >= expected and time.monotonic() - began < QUICK_S
        self._appetite = min(self._appetite * 2, MOST_AT_ONCE) if quick else self._threads
        ended = []
        for hold in finished:
            del self._running[hold]
            if hold in self._awaited:
                self._awaited.remove(hold)
                self._hands.widen(-1)
            if isinstance(hold.outcome, Busy):
                self._put_off.append(hold.lease)
                continue
            ended.append(activities.judge(hold.lease, hold.outcome))
        return ended + self._overdue()

    # While calls were quick more was leased than there are threads; what slow calls keep from beginning is given back
    # before its time runs out.
    def _hand_back(self, *, within_s: float = BEGIN_WITHIN_S) -> None:
        if self._put_off:
            handing_back.hand_back(self._put_off, pause_s=PUT_OFF_S)
            self._put_off = []
        now = time.monotonic()
        unbegun = [hold for hold in self._running if now - hold.since > within_s and hold.claim()]
        for hold in unbegun:
            del self._running[hold]
        if unbegun:
            handing_back.hand_back([hold.lease for hold in unbegun])

    # A thread cannot be stopped. What must have nothing beside it is awaited, and told of while it runs; any other
    # attempt is given up, with an outcome nobody knows, and what it says later is refused by the fence.
    def _overdue(self) -> list[Ended]:
        now = time.monotonic()
        late = [
            hold
            for hold in self._running
            if hold not in self._awaited and now - hold.since > hold.lease.policy["timeout_s"] + 1.0
        ]
        ended = []
        for hold in late:
            lease, begun = hold.lease, not hold.claim()
            logger.warning(
                "activity.overdue", extra={"activity": lease.id, "instance": lease.instance_id, "node": lease.node_id}
            )
            if begun and lease.policy.get("awaited"):
                self._await(hold)
                continue
            del self._running[hold]
            if begun:
                self._abandoned.add(hold)
            seconds = lease.policy["timeout_s"]
            ended.append(
                activities.judge(lease, Failed(f"No answer within {seconds:g} s.", code="timeout", unknown=True))
            )
        return ended

    def _await(self, hold: Hold) -> None:
        self._awaited.add(hold)
        self._hands.widen(1)
        if hold.lease.attempt >= hold.lease.policy["attempts"]:
            self._untold.append(hold.lease)

    def _tell_of_late_ones(self) -> None:
        if self._untold:
            lateness.tell(self._untold)
            self._untold = []
        if len(self._abandoned) >= self._threads:
            # No thread is left: what they have not begun, others may.
            self._hand_back(within_s=-1.0)
            self._hands = self._hands.replaced(self._threads + len(self._awaited))
            self._abandoned.clear()


_worker: list[ActivityWorker] = []
_making = threading.Lock()


def run(*, slice_s: float = math.inf, task_id: str = "") -> int:
    """Have this process's worker do what is due."""
    with _making:
        if not _worker:
            _worker.append(ActivityWorker())
    return _worker[0].run(slice_s=slice_s, task_id=task_id)


def stop() -> None:
    """Have this process's worker begin nothing new."""
    for worker in _worker:
        worker.stop()
