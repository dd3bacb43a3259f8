"""The health checks ask for no key and say what is wrong."""

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from kalcifer import __version__
from kalcifer.models import Heartbeat
from kalcifer.settings.celery import QUEUES

pytestmark = pytest.mark.django_db

EVENT_OF_ANOTHER_SERVER = """
    INSERT INTO stored_events (event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, schema_version, data,
                               metadata, recorded_at, tx)
    VALUES (gen_random_uuid(), gen_random_uuid(), 'account', gen_random_uuid(), 1, 'deposited', 1, '{}', '{}', now(),
            pg_current_xact_id()::text::bigint + 1000000)
"""


@pytest.fixture
def alive(settings):
    """Every queue has a worker, and beat runs."""
    for number, serves in enumerate([*QUEUES, "beat"]):
        Heartbeat.objects.create(name=f"{serves}@host:{number}", serves=serves, at=Now())


def test_the_process_answers_without_a_key(client):
    answer = client.get("/api/v1/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": __version__})


@pytest.mark.parametrize("address", ["/api/v1/health", "/api/v1/health/ready", "/api/v1/metrics", "/metrics"])
@pytest.mark.parametrize("method", ["post", "delete", "options"])
def test_other_methods_are_refused_in_the_shape_of_the_api(address, method):
    answer = getattr(Client(enforce_csrf_checks=True), method)(address)

    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert answer.json()["errors"][0]["code"] == "method_not_allowed"


@pytest.mark.parametrize("address", ["/api/v1/docs", "/api/v1/redoc"])
def test_pages_answer_get_only(client, address):
    assert client.get(address).status_code == 200
    assert client.options(address).status_code == 405


def test_with_everything_running_it_is_ready(client, alive):
    answer = client.get("/api/v1/health/ready")

    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert {name: check["ok"] for name, check in answer.json()["checks"].items()} == {
        "database": True,
        "broker": True,
        "workers": True,
        "beat": True,
    }


def test_a_log_that_was_restored_from_a_dump_is_told_of_before_it_is_missed(client, alive):
    with connection.cursor() as cursor:
        cursor.execute(EVENT_OF_ANOTHER_SERVER)

    answer = client.get("/api/v1/health/ready")

    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert "restored from a dump" in answer.json()["checks"]["database"]["detail"]


def test_a_lost_broker_only_degrades(client, alive, settings):
    settings.REDIS_URL = "unix:///nowhere.sock"

    answer = client.get("/api/v1/health/ready")

    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert "sweeper" in answer.json()["checks"]["broker"]["detail"]


def test_a_queue_without_a_worker_is_named(client, alive):
    Heartbeat.objects.filter(serves="activities").delete()

    answer = client.get("/api/v1/health/ready")

    assert answer.status_code == 503
    assert answer.json()["checks"]["workers"] == {
        "ok": False,
        "detail": "No worker has shown life lately for: activities.",
    }


def test_an_old_heartbeat_is_no_sign_of_life(client, alive):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE kalcifer_heartbeats SET at = at - interval '1 minute'")

    assert client.get("/api/v1/health/ready").status_code == 503
