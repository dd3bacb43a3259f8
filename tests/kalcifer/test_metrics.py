"""What Prometheus is told, and whom it is told to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError
from prometheus_client.parser import text_string_to_metric_families

from engine import clock, triggers
from engine.connections import execute
from engine.models import Activity, BatchClaim, InboundEvent, Timer
from flows import lifecycle
from kalcifer import metrics
from tenants.ids import uuid7
from tenants.models import Tenant
from tests.support.graphs import chain

pytestmark = pytest.mark.django_db

# Two that have read nothing yet, and one of them never will.
ADD_CHECKPOINTS = """
    INSERT INTO projection_checkpoints (id, name, build, is_live, status, error, tx, position, count, attempts,
                                        updated_at)
    VALUES (gen_random_uuid(), 'flow_statistics', 1, true, 'failed', '{}', 0, 0, 0, 1, now()),
           (gen_random_uuid(), 'node_statistics', 1, true, 'running', NULL, 0, 0, 0, 0, now())
"""
ADDRESSES = ["/metrics", "/metrics/", "/api/v1/metrics"]


def figures(client, **headers):
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


@pytest.fixture
def tenant():
    return Tenant.objects.create(name="Acme")


@pytest.fixture
def backlog(tenant):
    """One of everything that can wait."""
    now = clock.now()
    flow = lifecycle.activate(lifecycle.create(tenant, "Flow", graph=chain(1)))
    instance = triggers.start(flow, "ada")
    Timer.objects.create(tenant=tenant, instance=instance, node_id="a", due_at=now - timedelta(seconds=90))
    Timer.objects.create(tenant=tenant, instance=instance, node_id="b", due_at=now + timedelta(days=1))
    common = {"tenant": tenant, "participant_id": "ada", "event_type": "x", "occurred_at": now}
    InboundEvent.objects.create(event_id="1", received_at=now - timedelta(seconds=30), **common)
    InboundEvent.objects.create(event_id="2", received_at=now, routed_at=now, **common)
    for status in ("pending", "pending", "parked", "completed"):
        Activity.objects.create(
            tenant=tenant, kind="node", target="x", idempotency_key=uuid7(), status=status, due_at=now, created_at=now
        )
    BatchClaim.objects.create(worker_key=1, worker="host:1", instance_ids=[instance.pk], started_at=now)


def test_a_backlog_is_told(client, backlog):
    found = figures(client)

    assert found["kalcifer_runnable_instances",] == 1
    assert found["kalcifer_due_timers",] == 1
    assert 85 < found["kalcifer_oldest_due_timer_seconds",] < 120
    assert found["kalcifer_unrouted_events",] == 1
    assert 25 < found["kalcifer_oldest_unrouted_event_seconds",] < 60
    assert found["kalcifer_activities", "pending"] == 2
    assert found["kalcifer_activities", "parked"] == 1
    assert found["kalcifer_activities", "running"] == 0
    assert found["kalcifer_batch_claims",] == 1
    assert found["kalcifer_database_up",] == 1
    assert found["kalcifer_failed_bells_total",] >= 0
    assert found["kalcifer_snapshots_total", "used"] >= 0


def test_an_empty_system_tells_zeros(client):
    found = figures(client)

    assert {name for name, *_ in found} >= {f"kalcifer_{name}" for name in metrics.GAUGES}
    assert found["kalcifer_runnable_instances",] == found["kalcifer_oldest_due_timer_seconds",] == 0


def test_nothing_is_counted_beyond_the_cap(client, backlog, django_assert_max_num_queries):
    figures(client)
    with django_assert_max_num_queries(16) as asked:
        figures(client)

    counts = [each["sql"] for each in asked.captured_queries if "count(*)" in each["sql"]]
    assert counts
    assert all(f"LIMIT {metrics.CAP}" in each for each in counts)


@pytest.mark.parametrize("address", ADDRESSES)
def test_another_host_needs_the_key(client, settings, address):
    assert client.get(address).status_code == 200
    assert client.get(address, REMOTE_ADDR="::1").status_code == 200
    for elsewhere in ("10.0.0.7", "", "nonsense"):
        assert client.get(address, REMOTE_ADDR=elsewhere).status_code == 401
    assert client.get(address, headers={"x-forwarded-for": "10.0.0.7"}).status_code == 401

    settings.KALCIFER_METRICS_KEY = "let me in"
    assert client.get(address, headers={"authorization": "Bearer let me in"}, REMOTE_ADDR="10.0.0.7").status_code == 200
    for wrong in ("Bearer other", "Bearer", "let me in", "Basic let me in", "Bearer é"):
        answer = client.get(address, headers={"authorization": wrong})
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")


def test_a_lost_database_is_told_and_no_error(client, monkeypatch):
    def lost():
        raise OperationalError

    monkeypatch.setattr(metrics, "_read", lost)
    monkeypatch.setattr(metrics.connection, "close", lambda: None)

    assert figures(client)["kalcifer_database_up",] == 0


def test_only_reading(client):
    assert client.post("/metrics").status_code == 405


def test_the_lag_of_each_projection_is_told(client, backlog):
    execute(ADD_CHECKPOINTS)

    found = figures(client)

    for name in ("flow_statistics", "node_statistics"):
        assert found["kalcifer_projection_lag_events", name] == 1
        assert 0 <= found["kalcifer_projection_lag_seconds", name] < 60
        assert found["kalcifer_projection_stopped", name] == (name == "flow_statistics")
