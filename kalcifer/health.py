"""Liveness and readiness, for load balancers and for `up`; no key is asked for."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

import redis
from django.conf import settings
from django.db import Error, ProgrammingError, connection
from django.db.models.functions import Now
from django.http import HttpRequest, JsonResponse

from engine.event_store import moving
from kalcifer import __version__
from kalcifer.models import Heartbeat
from kalcifer.plain_views import read_only
from kalcifer.rota import QUEUES

RECENT = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what was found, in words."""

    ok: bool
    detail: str


RESTORED: Final = Check(
    ok=False, detail="The log was restored from a dump of another server: run manage.py migrate before anything else."
)


@read_only
def alive(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok", "version": __version__})


@read_only
def ready(request: HttpRequest) -> JsonResponse:
    """Whether work that is accepted now goes on at once. Without the broker it goes on at the sweeper's pace."""
    checks = {name: look() for name, look in CHECKS.items()}
    lacking = {name for name, check in checks.items() if not check.ok}
    status = "unavailable" if lacking - {"broker"} else "degraded" if lacking else "ok"
    body = {"status": status, "checks": {name: asdict(check) for name, check in checks.items()}}
    response = JsonResponse(body, status=503 if status == "unavailable" else 200)
    # Whoever asks often while things start would fill the log with errors that are none.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001  # Django has no other way to say so
    return response


def _database() -> Check:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return RESTORED if _is_restored() else Check(ok=True, detail="PostgreSQL answers.")
    except Error:
        connection.close()
        return Check(ok=False, detail="PostgreSQL does not answer.")


# Whatever is recorded until it is mended would stand before all that there is, and be passed over.
def _is_restored() -> bool:
    try:
        return moving.is_ahead()
    except ProgrammingError:
        # There is no log yet.
        return False


def _broker() -> Check:
    client = redis.Redis.from_url(settings.REDIS_URL, retry=None, socket_timeout=0.2, socket_connect_timeout=0.2)
    try:
        client.ping()
    except redis.RedisError:
        return Check(ok=False, detail="Redis does not answer: everything goes on, at the sweeper's pace.")
    finally:
        client.close()
    return Check(ok=True, detail="Redis answers.")


def _workers() -> Check:
    served = {queue for what in _recent() for queue in what.split(",")}
    missing = [queue for queue in QUEUES if queue not in served]
    if missing:
        return Check(ok=False, detail=f"No worker has shown life lately for: {', '.join(missing)}.")
    return Check(ok=True, detail="Every queue has a worker.")


def _beat() -> Check:
    if "beat" in _recent():
        return Check(ok=True, detail="Beat is running.")
    return Check(ok=False, detail="Beat has not shown life lately: schedules are left to the sweeper.")


def _recent() -> list[str]:
    try:
        return list(Heartbeat.objects.filter(at__gt=Now() - RECENT).values_list("serves", flat=True))
    except Error:
        connection.close()
        return []


CHECKS: dict[str, Callable[[], Check]] = {"database": _database, "broker": _broker, "workers": _workers, "beat": _beat}
