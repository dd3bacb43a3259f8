"""
`GET /metrics` for Prometheus: how much waits, for how long, and who holds it.

Each figure is one look at an index, counted no further than CAP. Whoever asks shows KALCIFER_METRICS_KEY as a Bearer
key; where none is set, only this host may ask.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.db import Error, connection, transaction
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine import clock
from engine.bells import ringer
from engine.projections import lag, registry
from engine.projections.lag import ProjectionStatus
from engine.snapshots import counts
from kalcifer import __version__
from kalcifer.plain_views import read_only

CAP = 10_000
QUICK_MS = 2_000


def _capped(table: str, where: str) -> str:
    return f"SELECT count(*)::float8 FROM (SELECT FROM {table} WHERE {where} LIMIT {CAP}) AS found"


# Name → what it is, and a statement that gives one number. Counts stop at CAP.
GAUGES: dict[str, tuple[str, str]] = {
    "runnable_instances": ("Instances that could be run now", _capped("flow_instances", "runnable AND deaths = 0")),
    "woken_instances": (
        "Instances whose side effects have ended, to be looked at now",
        _capped("instance_wakes", "true"),
    ),
    "suspect_instances": (
        "Instances that are run alone, because a worker died with them in hand",
        _capped("flow_instances", "runnable AND deaths > 0"),
    ),
    "due_timers": ("Timers whose time has come", _capped("timers", "NOT held AND due_at <= %(now)s")),
    "oldest_due_timer_seconds": (
        "How late the oldest due timer is, in engine time",
        (
            "SELECT extract(epoch FROM %(now)s - due_at)::float8 FROM timers"
            " WHERE NOT held AND due_at <= %(now)s ORDER BY due_at LIMIT 1"
        ),
    ),
    "unrouted_events": ("Inbound events that are not routed yet", _capped("inbound_events", "routed_at IS NULL")),
    "oldest_unrouted_event_seconds": (
        f"How long the oldest of the first {CAP} unrouted inbound events has waited, in engine time",
        (
            "SELECT extract(epoch FROM %(now)s - min(received_at))::float8"
            f" FROM (SELECT received_at FROM inbound_events WHERE routed_at IS NULL LIMIT {CAP}) AS found"
        ),
    ),
    "batch_claims": ("Batches that workers have in hand", _capped("batch_claims", "true")),
    "open_jobs": ("Bulk acts that are not finished", _capped("jobs", "status IN ('queued', 'running')")),
    "oldest_transaction_seconds": (
        "Age of the oldest transaction that keeps vacuum and readers of the log back",
        (
            "SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0)::float8 FROM pg_stat_activity"
            " WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()"
        ),
    ),
    "oldest_transaction_ids": (
        "Transactions begun since the oldest one that keeps vacuum back",
        (
            "SELECT coalesce(max(age(backend_xmin)), 0)::float8 FROM pg_stat_activity"
            " WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()"
        ),
    ),
}

# One look per tenant and status at the index that begins with the two.
ACTIVITIES = f"""
    SELECT wanted.status, least(sum(found.n), {CAP})::float8
      FROM (VALUES ('pending'), ('running'), ('parked')) AS wanted(status) CROSS JOIN tenants t
     CROSS JOIN LATERAL (SELECT count(*) AS n FROM (
           SELECT FROM activities a WHERE a.tenant_id = t.id AND a.status = wanted.status LIMIT {CAP}) AS few) AS found
     GROUP BY wanted.status
"""


@read_only
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape."""
    if not may_scrape(request):
        answer = HttpResponse("Send KALCIFER_METRICS_KEY as a Bearer key.\n", status=401, content_type="text/plain")
        answer["WWW-Authenticate"] = "Bearer"
        return answer
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def may_scrape(request: HttpRequest) -> bool:
    """Whether the request shows the key, or comes from this host where there is none."""
    key: str = getattr(settings, "KALCIFER_METRICS_KEY", "")
    if key:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), key.encode())
    # A proxy on this host speaks for others.
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


class Figures(Collector):
    """Everything that is told, read anew for each scrape."""

    def collect(self) -> Iterable[Metric]:
        """Read and tell; without a database only what this process knows itself."""
        yield GaugeMetricFamily("kalcifer_up", f"Kalcifer {__version__} answers", value=1)
        failed = CounterMetricFamily("kalcifer_failed_bells", "Doorbells that this process could not ring")
        failed.add_metric([], ringer.failures)
        yield failed
        snapshots = CounterMetricFamily("kalcifer_snapshots", "What this process did with snapshots", labels=["what"])
        for what, number in sorted(counts.so_far().items()):
            snapshots.add_metric([what], number)
        yield snapshots
        try:
            found, by_status, projections = _read()
        except Error:
            connection.close()
            yield GaugeMetricFamily("kalcifer_database_up", "PostgreSQL answers in time", value=0)
            return
        yield GaugeMetricFamily("kalcifer_database_up", "PostgreSQL answers in time", value=1)
        for name, value in found.items():
            yield GaugeMetricFamily(f"kalcifer_{name}", GAUGES[name][0], value=value)
        activities = GaugeMetricFamily("kalcifer_activities", "Side effects by status", labels=["status"])
        for status, value in sorted(by_status.items()):
            activities.add_metric([status], value)
        yield activities
        yield from _of_projections(projections)


def _read() -> tuple[dict[str, float], dict[str, float], list[ProjectionStatus]]:
    parameters: dict[str, Any] = {"now": clock.now()}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {QUICK_MS}")
        found = {}
        for name, (_, statement) in GAUGES.items():
            cursor.execute(statement, parameters if "%(" in statement else None)
            row = cursor.fetchone()
            found[name] = float(row[0] or 0) if row else 0.0
        cursor.execute(ACTIVITIES)
        by_status = dict(cursor.fetchall())
        return found, by_status, [each for each in lag.status(registry.names()) if each.is_live]


def _of_projections(projections: list[ProjectionStatus]) -> Iterable[Metric]:
    what: dict[str, tuple[str, Callable[[ProjectionStatus], float]]] = {
        "lag_seconds": ("Age of the oldest event that is not projected yet, in engine time", lambda each: each.lag_s),
        "lag_events": (f"Events that are not projected yet, up to {lag.CAP}", lambda each: each.lag_events),
        "stopped": ("Whether an event stops it, until an operator decides", lambda each: each.state == "failed"),
    }
    for name, (about, value) in what.items():
        family = GaugeMetricFamily(f"kalcifer_projection_{name}", about, labels=["projection"])
        for each in projections:
            family.add_metric([each.name], value(each))
        yield family
