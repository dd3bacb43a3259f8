"""The command line of each role."""

import sys

from django.core.management import get_commands

from kalcifer.supervisor.options import Options

WATCHED = frozenset({"advance", "activities", "background", "beat"})


def command(role: str, options: Options) -> list[str]:
    """How a role is started."""
    return [sys.executable, "-m", *_module(role, options)]


def exists(role: str) -> bool:
    """Whether the role can be run by what is installed."""
    return role != "sweeper" or "sweeper" in get_commands()


def _module(role: str, options: Options) -> list[str]:
    match role:
        case "web":
            return _web(options)
        case "advance":
            return _worker(role, "flow_triggers,delayed_resume", "prefork", options.workers)
        case "activities":
            return _worker(role, "activities", "threads", options.activity_slots)
        case "background":
            return _worker(role, "projections,maintenance", "prefork", 1)
        case "beat":
            return ["celery", "--quiet", "-A", "kalcifer", "beat"]
        case "sweeper":
            return ["django", "sweeper"]
    raise ValueError(f"There is no role {role!r}.")


def _web(options: Options) -> list[str]:
    bind = options.url.removeprefix("http://")
    sizes = ["--workers", str(options.web_workers), "--threads", str(options.web_threads)]
    return ["gunicorn", "-c", "python:kalcifer.web_server", "--bind", bind, *sizes, "kalcifer.wsgi:application"]


# Gossip, mingle and heartbeats between workers cost a second at the start and give nothing here.
def _worker(role: str, queues: str, pool: str, size: int) -> list[str]:
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    place = ["-n", f"{role}@%h", "-Q", queues, "-P", pool, "-c", str(size)]
    return ["celery", "--quiet", "-A", "kalcifer", "worker", *place, *quiet]
