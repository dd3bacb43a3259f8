"""The Celery app: its connections, its logs, and what is done around each task."""

import os
import warnings
from typing import Any

import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import (
    beat_init,
    setup_logging,
    task_failure,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
    worker_ready,
)
from django.conf import settings
from django.db import close_old_connections, connections

from kalcifer import collector, kept_connections, logging
from kalcifer.embedded import servers

BACKGROUND_NICENESS = 10

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kalcifer.settings")

# Messages are JSON, so a worker that runs as root is no wider open than any other process of root.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("kalcifer", amqp="kalcifer.broker:QuickAMQP")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def join_servers(**_: Any) -> None:
    """Bring the bundled servers up for a worker or beat that was started by hand."""
    if not (settings.DATABASE_URL and settings.REDIS_URL_IS_GIVEN):
        servers.ensure(settings.KALCIFER_DATA_DIR)


@worker_init.connect
def show_life(sender: Any, **_: Any) -> None:
    """Have the worker stamp its signs of life; imported here, as the models have to be loaded first."""
    from kalcifer.liveness import WorkerPulse  # noqa: PLC0415

    sender.app.steps["worker"].add(WorkerPulse)


@setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Write the same JSON lines as every other process."""
    logging.configure()


# Read models and maintenance take what the runs themselves leave of the machine; they still get a tenth of it.
@worker_process_init.connect
def step_aside(**_: Any) -> None:
    """Have the processes of the background role run at a lower priority."""
    if settings.KALCIFER_ROLE == "background":
        os.nice(BACKGROUND_NICENESS)


@worker_process_init.connect
@worker_ready.connect
def spare_the_collector(**_: Any) -> None:
    """Do so in the children of a pool, and in a worker that has threads instead."""
    collector.spare()


@task_prerun.connect
def prepare(task_id: str, task: Any, **_: Any) -> None:
    """Check the kept connections, as Celery does not, and tell the log which task it is."""
    close_old_connections()
    kept_connections.trust_quiet()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name)


@task_postrun.connect
def forget(**_: Any) -> None:
    """Let the next log line be about something else."""
    structlog.contextvars.clear_contextvars()


@task_failure.connect
def drop_spoiled_connections(exception: BaseException, **_: Any) -> None:
    """A time limit may strike in the middle of a statement; the connection cannot be trusted afterwards."""
    if isinstance(exception, SoftTimeLimitExceeded):
        connections.close_all()
