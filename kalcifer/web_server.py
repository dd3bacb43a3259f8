"""Gunicorn's configuration."""

from typing import Any

from gunicorn import util

from kalcifer import collector
from kalcifer.supervisor import leash

worker_class = "gthread"
# Nothing is opened before the fork: a pool or connection would be shared by the workers.
preload_app = False
graceful_timeout = 10
timeout = 60
keepalive = 75
max_requests = 0
backlog = 2048
loglevel = "warning"
control_socket_disable = True


def post_fork(server: Any, worker: Any) -> None:
    """Workers die with their master, also when that is killed."""
    leash.tie(server.pid)


def post_worker_init(worker: Any) -> None:
    """Everything is imported; what gunicorn refuses has the API's shape, as gunicorn has no hook of its own for it."""
    # Only here: what the master imports would outlive a reload of the code.
    from kalcifer import web_refusals  # noqa: PLC0415

    util.write_error = web_refusals.write
    collector.spare()
