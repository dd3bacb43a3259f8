"""The engine's Celery tasks: doors, not rooms. Their messages carry no work and may be lost or doubled."""

from __future__ import annotations

from typing import Any, Final

from celery import shared_task
from celery.signals import worker_shutting_down

from engine import activity_worker, chores, event_router, jobs, retention, schedules, sweeper, timers
from engine.bells import Bell, ringer
from engine.compensation import links
from engine.conf import engine_settings
from engine.execution import loop
from engine.projections import rounds
from engine.sagas import loop as sagas
from engine.workflow_scheduler import due as scheduled

# Runs and events share a queue, and take turns while there is more of both than can be done: neither waits long for the
# other. Whoever has routed all events runs a backlog that is not its own for a moment only.
TURN_S: Final = 0.5
AFTER_EVENTS_S: Final = 0.25


@worker_shutting_down.connect
def begin_nothing_new(**_: Any) -> None:
    """Let a worker that was told to stop finish its side effects, and lease no more."""
    activity_worker.stop()


@shared_task(name="engine.advance", bind=True)
def advance(self: Any) -> None:
    """Run whatever is runnable for one turn."""
    ringer.answer(Bell.ADVANCE)
    loop.advance(slice_s=_turn_s(), task_id=self.request.id or "")


@shared_task(name="engine.route", bind=True)
def route(self: Any) -> None:
    """Route whatever is in the inbox, and run what it left right here: a doorbell between would only cost time."""
    ringer.answer(Bell.ROUTE)
    if not event_router.route(slice_s=_turn_s(), task_id=self.request.id or ""):
        return
    if event_router.is_waiting():
        ringer.ring(Bell.ADVANCE)
        return
    loop.advance(slice_s=AFTER_EVENTS_S, task_id=self.request.id or "")


@shared_task(name="engine.wake_due", bind=True)
def wake_due(self: Any) -> None:
    """Fire due timers, begin what was scheduled for now, and run what they woke right here."""
    ringer.answer(Bell.WAKE)
    begun = scheduled.run_due()
    if timers.wake_due(task_id=self.request.id or "") or begun:
        loop.advance(slice_s=_turn_s(), task_id=self.request.id or "")


@shared_task(name="engine.run_activities", bind=True)
def run_activities(self: Any) -> None:
    """Do side effects until none is due."""
    ringer.answer(Bell.ACTIVITIES)
    activity_worker.run(task_id=self.request.id or "")


@shared_task(name="engine.compensate_next", bind=True)
def compensate_next(self: Any, saga_ids: list[str], instance_ids: list[str]) -> None:
    """Undo what is next in these roll-backs: one link of a chain whose truth is in the tables."""
    links.do_next(saga_ids=saga_ids, instance_ids=instance_ids, task_id=self.request.id or "")
    if not self.request.chain:
        links.hand_over(saga_ids=saga_ids, instance_ids=instance_ids)


@shared_task(name="engine.run_sagas", bind=True)
def run_sagas(self: Any) -> None:
    """Look at the sagas that wait for a look."""
    ringer.answer(Bell.SAGAS)
    sagas.run(task_id=self.request.id or "")


@shared_task(name="engine.project", bind=True)
def project(self: Any) -> None:
    """Bring the read models up to the log, for one slice."""
    ringer.answer(Bell.PROJECT)
    if rounds.run(slice_s=engine_settings().slice_s) and rounds.is_behind():
        ringer.ring(Bell.PROJECT)


@shared_task(name="engine.run_jobs", bind=True)
def run_jobs(self: Any) -> None:
    """Go on with bulk acts for one slice."""
    ringer.answer(Bell.JOBS)
    jobs.run_jobs(engine_settings().slice_s)


@shared_task(name="engine.run_chores", bind=True)
def run_chores(self: Any) -> None:
    """Do what the layers above have to be done, for one slice."""
    ringer.answer(Bell.CHORES)
    if chores.run(engine_settings().slice_s) and chores.is_due():
        ringer.ring(Bell.CHORES)


@shared_task(name="engine.sweep")
def sweep() -> None:
    """Ring for whatever no doorbell announced."""
    sweeper.sweep()


@shared_task(name="engine.run_schedules")
def run_schedules() -> None:
    """Start the flows whose time has come."""
    schedules.run_due()


@shared_task(name="engine.prune")
def prune() -> None:
    """Forget what nobody needs any more."""
    retention.prune()


def _turn_s() -> float:
    return min(TURN_S, engine_settings().slice_s)
