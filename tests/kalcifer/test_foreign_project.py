"""Kalcifer in somebody else's project: apps, one include, one line of Celery, `migrate`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from django.conf import settings

from kalcifer.settings.environment import broker
from tests.support import processes, servers

pytestmark = pytest.mark.processes

FILES = {
    "manage.py": """
        import os, sys
        from django.core.management import execute_from_command_line
        os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
        execute_from_command_line(sys.argv)
    """,
    "shop/__init__.py": "from shop.celery import app",
    "shop/celery.py": """
        import os
        from celery import Celery
        from kalcifer import guest
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
        app = Celery("shop")
        app.config_from_object("django.conf:settings", namespace="CELERY")
        app.autodiscover_tasks()
        guest.join(app)
    """,
    "shop/settings.py": """
        import os
        SECRET_KEY = "of-the-shop"
        ALLOWED_HOSTS = ["testserver"]
        ROOT_URLCONF = "shop.urls"
        TIME_ZONE, USE_TZ = "America/Chicago", True
        DATABASES = {"default": {
            "ENGINE": "django.db.backends.postgresql", "ATOMIC_REQUESTS": True,
            **{name: os.environ[f"SHOP_{name}"] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")},
        }}
        INSTALLED_APPS = [
            "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
            "django.contrib.messages", "django.contrib.admin",
            "orders",
            "tenants", "flows", "engine",
        ]
        MIDDLEWARE = [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ]
        TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]}}]
        CELERY_BROKER_URL = os.environ["SHOP_BROKER"]
        CELERY_TASK_ROUTES = {"orders.*": {"queue": "orders"}}
        CELERY_BEAT_SCHEDULE = {"mine": {"task": "orders.mine", "schedule": 60}}
    """,
    "shop/urls.py": """
        from django.contrib import admin
        from django.urls import include, path
        urlpatterns = [path("admin/", admin.site.urls), path("flows/", include("kalcifer.api_urls"))]
    """,
    "orders/__init__.py": "",
    "orders/models.py": """
        from django.db import models
        class Order(models.Model):
            customer = models.CharField(max_length=100)
    """,
    "orders/migrations/__init__.py": "",
    "order.py": """
        import json, sys
        import django
        django.setup()
        from django.contrib.auth import get_user_model
        from django.db import transaction
        from django.test import Client
        from engine import triggers
        from engine.execution import loop
        from engine.models import StoredEvent
        from flows import lifecycle
        from flows.models import FlowInstance
        from orders.models import Order
        from shop.celery import app
        from tenants import keys
        from tenants.models import Tenant

        tenant = Tenant.objects.get(name="default")
        flow = lifecycle.activate(lifecycle.create(tenant, "Order", graph=json.loads(sys.argv[1])))
        told = {}

        def order(customer):
            Order.objects.create(customer=customer)
            return triggers.start(flow, customer, context={"sum": 3})

        try:
            with transaction.atomic():
                order("ada")
                raise KeyError
        except KeyError:
            told["rolled_back"] = [Order.objects.count(), FlowInstance.objects.count(), StoredEvent.objects.count()]
        with transaction.atomic():
            order("bob")
        told["committed"] = [Order.objects.count(), FlowInstance.objects.get().status]
        loop.advance()
        told["advanced"] = FlowInstance.objects.get().status
        _, raw = keys.issue(tenant, name="shop")
        client = Client(headers={"Authorization": f"Bearer {raw}"})
        told["listed"] = client.get("/flows/instances").json()["results"][0]["participant_id"]
        told["missing"] = [client.get("/flows/instances/x").status_code, client.get("/flows/nothing").status_code]
        told["over_http"] = client.post(
            f"/flows/flows/{flow.pk}/trigger", json.dumps({"participant_id": "eve"}), content_type="application/json"
        ).status_code
        admin = Client()
        admin.force_login(get_user_model().objects.create_superuser("root"))
        told["admin"] = admin.get(f"/admin/flows/flowinstance/{FlowInstance.objects.first().pk}/change/").status_code
        told["beat"] = sorted(app.conf.beat_schedule)
        told["routed"] = app.amqp.router.route({}, "engine.advance")["queue"].name
        told["own_route"] = app.amqp.router.route({}, "orders.pack")["queue"].name
        with transaction.atomic():
            order("kim")
        print(json.dumps(told))
    """,
    "look.py": """
        import django
        django.setup()
        from flows.models import FlowInstance
        print(*FlowInstance.objects.order_by("participant_id").values_list("participant_id", "status"))
    """,
}

GRAPH = {
    "nodes": [
        {"id": "entry", "type": "event_entry", "config": {"event_type": "ordered"}},
        {"id": "done", "type": "exit", "config": {"reason": "packed"}},
    ],
    "edges": [{"source": "entry", "target": "done"}],
}


@pytest.fixture
def shop(transactional_db, tmp_path):
    """A fresh project with a database of its own; gives a function that runs Python in it."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(dedent(text).lstrip())
    database = f"{servers.DATABASE}_shop"
    with servers._server() as server:
        servers._run(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", database)
        servers._run(server, "CREATE DATABASE {}", database)
        found = settings.DATABASES["default"]
        reached = {f"SHOP_{name}": str(found.get(name) or "") for name in ("USER", "PASSWORD", "HOST", "PORT")}
        env = processes.environment(
            **reached,
            SHOP_NAME=database,
            SHOP_BROKER=broker(settings.REDIS_URL),
            DJANGO_SETTINGS_MODULE="shop.settings",
            PYTHONPATH=f"{tmp_path}:{processes.ROOT}",
        )
        yield Shop(tmp_path, env)
        servers._run(server, "DROP DATABASE {} WITH (FORCE)", database)


class Shop:
    """The project on disk."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder, self.env = folder, env

    def run(self, *words: str) -> str:
        command = [sys.executable, *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def worker(self):
        words = (sys.executable, "-m", "celery", "-A", "shop", "worker", "-Q", "celery,flow_triggers,delayed_resume")
        beat = ("-B", "-s", str(self.folder / "beat"))
        return processes.running(*words, *beat, "-c", "1", env=self.env, log=self.folder / "worker.log")


def test_a_fresh_project_starts_flows_in_its_own_transactions(shop):
    shop.run("manage.py", "makemigrations", "orders")
    shop.run("manage.py", "migrate")
    shop.run("manage.py", "check")
    shop.run("manage.py", "makemigrations", "--check", "--dry-run")

    told = json.loads(shop.run("order.py", json.dumps(GRAPH)).splitlines()[-1])

    assert told == {
        "rolled_back": [0, 0, 0],
        "committed": [1, "running"],
        "advanced": "completed",
        "listed": "bob",
        "missing": [404, 404],
        "over_http": 201,
        "admin": 200,
        "beat": ["engine.prune", "engine.run_schedules", "engine.sweep", "mine"],
        "routed": "flow_triggers",
        "own_route": "orders",
    }
    with shop.worker():
        everybody = "('bob', 'completed') ('eve', 'completed') ('kim', 'completed')"
        processes.wait_for(lambda: shop.run("look.py").strip() == everybody, seconds=60, what="a worker to run them")
    assert shop.run("manage.py", "verify").startswith("3 instances rebuilt from their events: no difference.")
    assert "Nothing is stranded." in shop.run("manage.py", "why")
