"""Settings of Celery: the broker is a doorbell, so nothing in it matters and nothing waits for it."""

from typing import Any

from kombu import Exchange, Queue

from kalcifer.rota import PERIODIC, QUEUES, ROUTES
from kalcifer.settings.environment import broker, integer, number


def settings(redis_url: str, *, prefix: str) -> dict[str, Any]:
    """Every setting of Celery under its name in Django's settings."""
    return {f"CELERY_{name}": value for name, value in _settings(redis_url, prefix).items()}


def transport(prefix: str, **timeouts: float) -> dict[str, Any]:
    """
    Transport options of a connection; two installations on one Redis differ in their prefix.

    Without `ack_emulation` Redis keeps no book of what workers have taken: bells may be lost, and that book costs each
    two round trips before anybody hears it.
    """
    return {"ack_emulation": False, "socket_keepalive": True, "global_keyprefix": prefix} | timeouts


def _settings(redis_url: str, prefix: str) -> dict[str, Any]:
    return {
        "BROKER_URL": broker(redis_url),
        "BROKER_TRANSPORT_OPTIONS": transport(prefix, socket_timeout=5, socket_connect_timeout=2),
        # Start order does not matter, and no count of failures ends a worker.
        "BROKER_CONNECTION_RETRY_ON_STARTUP": True,
        "BROKER_CONNECTION_MAX_RETRIES": None,
        # Results, events and late acknowledgements would make Redis matter; code in messages would make it dangerous.
        "TASK_IGNORE_RESULT": True,
        "RESULT_EXPIRES": None,
        "WORKER_SEND_TASK_EVENTS": False,
        "TASK_ACKS_LATE": False,
        "TASK_REJECT_ON_WORKER_LOST": False,
        "TASK_SERIALIZER": "json",
        "ACCEPT_CONTENT": ["json"],
        # A typo in a queue's name is an error, and direct exchanges survive FLUSHALL.
        "TASK_CREATE_MISSING_QUEUES": False,
        "TASK_QUEUES": [Queue(name, Exchange(name, type="direct"), routing_key=name) for name in QUEUES],
        "TASK_DEFAULT_QUEUE": "maintenance",
        "TASK_ROUTES": {task: {"queue": queue} for task, queue in ROUTES.items()},
        "WORKER_PREFETCH_MULTIPLIER": 1,
        "WORKER_ETA_TASK_LIMIT": 1000,
        "WORKER_MAX_TASKS_PER_CHILD": integer("KALCIFER_MAX_TASKS_PER_CHILD", 5000),
        "WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS": False,
        # Slices are two seconds long; countdowns in hand are found again by the sweep.
        "WORKER_SOFT_SHUTDOWN_TIMEOUT": 3,
        "WORKER_HIJACK_ROOT_LOGGER": False,
        "TASK_SOFT_TIME_LIMIT": number("KALCIFER_SOFT_TIME_LIMIT_S", 20),
        "TASK_TIME_LIMIT": number("KALCIFER_TIME_LIMIT_S", 30),
        # Connections are kept over tasks; celery.py checks them before each.
        "DB_REUSE_MAX": 1000,
        "TIMEZONE": "UTC",
        "ENABLE_UTC": True,
        "BEAT_SCHEDULER": "kalcifer.liveness:Scheduler",
        "BEAT_MAX_LOOP_INTERVAL": 5,
        "BEAT_SCHEDULE": {
            task: {"task": task, "schedule": seconds, "options": {"queue": ROUTES[task], "expire_seconds": 2 * seconds}}
            for task, seconds in PERIODIC.items()
        },
    }
