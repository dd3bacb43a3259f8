"""
The journal of a process: one thread that writes what happens to all its sagas.

Whoever has news hands them in and goes on. The thread takes all that are waiting, makes a turn of each saga, and writes
them in one transaction; then it sends the orders that follow to the loops. So a commit is shared by as many sagas as
have something to say, and every state has one writer. One saga's trouble stays its own: a row that somebody holds is
left for the next round, and what the database refuses is found by halves.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connections

from engine.connections import execute, is_in_the_way
from engine.errors import SagaFinished
from engine.sagas.local import rounds
from engine.sagas.local.leases import GIVE_BACK, Leases
from engine.sagas.local.news import Abandoned, Cancel, News, Order
from engine.sagas.local.pilot import Pilot, answer
from engine.sagas.local.rounds import Orders, Round
from engine.sagas.local.runner import Runner

log = structlog.get_logger(__name__)

IDLE_S: Final = 5.0
LATER_S: Final = 0.02
AWAY_S: Final = 0.2


class Journal:
    """One per process; a forked child begins anew."""

    def __init__(self) -> None:
        self.leases = Leases(self.tell)
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._waiting: list[Pilot] = []
        self._later: list[tuple[float, Pilot]] = []
        self._thread: threading.Thread | None = None
        self._closing = False
        os.register_at_fork(after_in_child=self._forget)

    def tell(self, pilot: Pilot, news: News) -> None:
        """Take news of a saga, from any thread."""
        with self._lock:
            if pilot.ended:
                _refuse(news)
                return
            pilot.news.append(news)
            self._queue(pilot)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="kalcifer-saga-journal", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the threads and their connections as soon as nothing is under way."""
        with self._lock:
            self._closing, thread = True, self._thread
            self._wake.notify()
        if thread is not None:
            thread.join(IDLE_S)
        self.leases.close()

    # Under the lock.
    def _queue(self, pilot: Pilot) -> None:
        if not pilot.waiting:
            pilot.waiting = True
            self._waiting.append(pilot)
            self._wake.notify()

    def _run(self) -> None:
        try:
            while pilots := self._next():
                try:
                    self._work(pilots)
                except Exception as error:
                    # Nobody waits for ever because of a mistake here.
                    log.exception("saga.journal_failed", sagas=len(pilots))
                    self._settle(Round(broken=[(pilot, error) for pilot in pilots if not pilot.ended]))
        finally:
            connections.close_all()

    # Gives those that have news; none when there have been none for a while, and the thread is to end.
    def _next(self) -> list[Pilot]:
        idle_since = time.monotonic()
        with self._lock:
            while True:
                now = time.monotonic()
                for _, pilot in [each for each in self._later if each[0] <= now]:
                    self._queue(pilot)
                self._later = [each for each in self._later if each[0] > now]
                if self._waiting:
                    return self._take()
                if not self._later and (self._closing or now - idle_since > IDLE_S):
                    self._thread, self._closing = None, False
                    return []
                self._wake.wait(min((at - now for at, _ in self._later), default=IDLE_S))

    # Under the lock.
    def _take(self) -> list[Pilot]:
        pilots, self._waiting = self._waiting, []
        for pilot in pilots:
            pilot.waiting = False
            pilot.taken += pilot.news
            pilot.news.clear()
        return pilots

    def _work(self, pilots: Sequence[Pilot]) -> None:
        abandoned = [pilot for pilot in pilots if any(isinstance(each, Abandoned) for each in pilot.taken)]
        self._let_go(abandoned)
        at_work = [pilot for pilot in pilots if not pilot.ended]
        if at_work:
            self._try(at_work, lambda: rounds.play(at_work, self.leases))

    # What the connection could not do is tried again; what a saga's content caused is found by halves.
    def _try(self, pilots: Sequence[Pilot], play: Callable[[], Round]) -> None:
        try:
            done = play()
        except (OperationalError, InterfaceError) as error:
            if is_in_the_way(error) and len(pilots) > 1:
                self._by_halves(pilots)
                return
            log.warning("saga.journal_waits", sagas=len(pilots), error=str(error).strip())
            connections.close_all()
            self._wait_for_database(pilots, error)
        except Exception as error:
            if len(pilots) == 1:
                log.exception("saga.not_written", saga_id=pilots[0].declared.saga_id)
                self._settle(Round(broken=[(pilots[0], error)]))
                return
            self._by_halves(pilots)
        else:
            self._settle(done)

    def _by_halves(self, pilots: Sequence[Pilot]) -> None:
        middle = len(pilots) // 2
        for part in (pilots[:middle], pilots[middle:]):
            for pilot in part:
                pilot.stale = True
            self._try(part, lambda part=part: rounds.play(part, self.leases))  # type: ignore[misc]  # bound now

    def _wait_for_database(self, pilots: Sequence[Pilot], error: Exception) -> None:
        now = time.monotonic()
        done = Round()
        for pilot in pilots:
            pilot.stale = True
            if now < pilot.patient_until:
                done.later.append(pilot)
            else:
                done.broken.append((pilot, error))
        self._settle(done, pause_s=AWAY_S)

    def _settle(self, done: Round, pause_s: float = LATER_S) -> None:
        for pilot in done.claimed:
            self._try([pilot], lambda pilot=pilot: rounds.claim(pilot, self.leases))  # type: ignore[misc]  # bound now
        done.orders += [(pilot, pilot.broken(error)) for pilot, error in done.broken]
        with self._lock:
            self._later += [(time.monotonic() + pause_s, pilot) for pilot in done.later]
            late = [(news, pilot) for pilot, _ in done.orders if pilot.ended for news in pilot.news]
        for news, _ in late:
            _refuse(news)
        ended = [pilot for pilot, _ in done.orders if pilot.ended]
        self.leases.drop(ended)
        self._send(done.orders)
        self._give_back([pilot for pilot, _ in done.broken])

    # One message per loop, however many sagas it calls for.
    def _send(self, orders: Orders) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Runner, list[Order]]]] = {}
        for pilot, each in orders:
            if each:
                by_loop.setdefault(pilot.runner.loop, []).append((pilot.runner, each))
        for loop, theirs in by_loop.items():
            try:
                loop.call_soon_threadsafe(_obey, theirs)
            except RuntimeError:
                self._let_go([pilot for pilot, _ in orders if pilot.runner.loop is loop])

    def _let_go(self, pilots: Sequence[Pilot]) -> None:
        for pilot in pilots:
            if not pilot.ended:
                log.warning("saga.abandoned", saga_id=pilot.declared.saga_id)
                pilot.broken(RuntimeError("The loop that executed the saga is closed."))
        self.leases.drop(pilots)
        self._give_back(pilots)

    # So that whoever carries these on need not wait for the lease to run out.
    def _give_back(self, pilots: Sequence[Pilot]) -> None:
        held = [pilot.id for pilot in pilots if pilot.born]
        if held:
            try:
                execute(GIVE_BACK, [held, self.leases.holder])
            except (DatabaseError, InterfaceError):
                log.warning("saga.leases_not_given_back", sagas=len(held))
                connections.close_all()

    # What a forked child has of its parent's is the parent's.
    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._waiting, self._later, self._thread, self._closing = [], [], None, False
        self.leases.forget()


def _obey(orders: Sequence[tuple[Runner, list[Order]]]) -> None:
    for runner, each in orders:
        runner.obey(each)


def _refuse(news: News) -> None:
    if isinstance(news, Cancel):
        answer(news, SagaFinished())


journal: Final = Journal()
