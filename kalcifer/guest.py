"""
Kalcifer in somebody else's project: `guest.join(app)` is the one line of Celery.

The project's own queues, routes and schedule stay as they are; ours are added when its settings have been read.
"""

from typing import Any

from celery import Celery

from kalcifer.rota import PERIODIC, ROUTES


def join(app: Celery) -> None:
    """Add what the engine needs to a project's Celery app."""
    app.on_after_configure.connect(_equip, weak=False)


def _equip(sender: Celery, **_: Any) -> None:
    conf = sender.conf
    own = conf.task_routes or ()
    ours = {task: {"queue": queue} for task, queue in ROUTES.items()}
    conf.task_routes = (ours, *(own if isinstance(own, (list, tuple)) else (own,)))
    # A message that waited for two intervals is dropped; django-celery-beat has a name of its own for that.
    expiry = "expire_seconds" if "django_celery_beat" in str(conf.beat_scheduler) else "expires"
    conf.beat_schedule = dict(conf.beat_schedule or {}) | {
        task: {"task": task, "schedule": seconds, "options": {"queue": ROUTES[task], expiry: 2 * seconds}}
        for task, seconds in PERIODIC.items()
    }
