"""Gunicorn's configuration."""

from typing import Any

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
    """Everything is imported."""
    collector.spare()
