"""What operators see of the engine, and what they do to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from engine import clock, inbox
from engine.models import (
    Activity,
    BatchClaim,
    CohortStatistic,
    FlowSchedule,
    FlowStatistic,
    InboundEvent,
    Job,
    JobTarget,
    NodeStatistic,
    ProjectionCheckpoint,
    ProjectionSkip,
    SagaRun,
    ScheduledWork,
    Snapshot,
    StoredEvent,
    Wake,
)
from engine.nodes import registry
from flows.models import FlowInstance
from tenants.ids import uuid7
from tenants.models import Tenant
from tests.engine.conftest import NOON
from tests.engine.operating import BROKEN, Effect, Fragile, for_event, waiting, with_effect
from tests.support.passage import Passage

# Wakes have a key of three columns, which the admin cannot show; the page that says why a run stands tells of its own.
MODELS = [model for model in apps.get_app_config("engine").get_models() if model is not Wake]
named = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)


@pytest.fixture(autouse=True)
def nodes(own_registry: None) -> None:
    BROKEN["is"] = True
    registry.register(Fragile)
    registry.register(Effect)


@pytest.fixture
def operator(client: Client, transactional_db: None) -> Client:
    client.force_login(get_user_model().objects.create_superuser("ada", "ada@example.com", "x"))
    return client


@pytest.fixture
def looker(transactional_db: None) -> Client:
    """Somebody of the staff who may look at everything and change nothing."""
    user = get_user_model().objects.create_user("bob", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def world(passage: Callable[..., Passage], tenant: Tenant) -> Callable[[int], None]:
    """Something of everything, as often as asked."""
    flows = {name: passage(graph).flow for name, graph in (("w", waiting()), ("e", for_event()), ("a", with_effect()))}

    def make(number: int) -> None:
        for flow in flows.values():
            run = Passage(flow, f"p{number}").start()
        inbox.publish_event(f"p{number}", "clicked", tenant=tenant, event_id=f"e{number}")
        InboundEvent.objects.update(
            effects=[{"kind": "wait_resolved", "instance_id": str(run.id)}, {"kind": "refused"}]
        )
        BatchClaim.objects.create(worker_key=1, worker="host:1", instance_ids=[run.id], started_at=NOON)
        job = Job.objects.create(tenant=tenant, kind="instances", action="cancel")
        JobTarget.objects.create(job=job, target_id=run.id)
        FlowSchedule.objects.create(tenant=tenant, flow=flows["w"], kind="cron", cron="0 9 * * *", participants=["a"])
        SagaRun.objects.create(tenant=tenant, name=f"order-{number}", runs_in="workers", created_at=NOON)
        ScheduledWork.objects.create(tenant=tenant, kind="saga", due_at=NOON, created_at=NOON)
        ProjectionCheckpoint.objects.create(name=f"balances-{number}", updated_at=NOON)
        ProjectionSkip.objects.create(name="b", build=1, tx=1, position=1, event_id=run.id, actor="ada", at=NOON)
        day = {"build": 1, "tenant_id": tenant.id, "flow_id": flows["w"].id, "version": 1, "day": NOON.date(), "n": 1}
        for counted in (FlowStatistic, NodeStatistic, CohortStatistic):
            counted.objects.create(**day, kind="entered", key=str(number))
        Snapshot.objects.create(
            aggregate_id=uuid7(), tenant_id=tenant.id, aggregate_type="account", sequence=1, digest="", taken_at=NOON
        )

    return make


def page(model: Any, *args: Any, of: str = "changelist") -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{of}", args=args)


def parked(passage: Callable[..., Passage], *people: str) -> list[Activity]:
    runs = [passage(with_effect(), each).start() for each in people]
    Activity.objects.filter(status="pending").update(status="running", lease_until=NOON, attempts=3)
    Activity.objects.filter(status="running").update(status="parked", lease_until=None, error={"detail": "refused"})
    return [Activity.objects.get(instance_id=run.id) for run in runs]


def told(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


# --- pages ---


def test_every_model_is_registered() -> None:
    assert [model for model in MODELS if not admin.site.is_registered(model)] == []


@named
def test_every_page_opens(operator: Client, world: Callable[[int], None], model: Any) -> None:
    assert operator.get(page(model)).status_code == 200
    world(1)
    clock.note_seen()
    instance = FlowInstance.objects.first()

    for text in (str(instance.pk), "p1", "ada \0 % ' \\", "é" * 300, "1e400", "-1"):
        assert operator.get(page(model), {"q": text}).status_code == 200
    for row in model.objects.all()[:3]:
        for view in ("change", "history"):
            assert operator.get(page(model, row.pk, of=view)).status_code == 200
    for key in ("nonsense", "0", "9" * 40, "a_00b"):
        assert operator.get(page(model, key, of="change"), follow=True).status_code == 200


@named
def test_odd_filters_are_no_error(operator: Client, world: Callable[[int], None], model: Any) -> None:
    world(1)
    for odd in ("\0", "x", "9" * 40, ""):
        for name in (
            "tenant__id__exact",
            "status__exact",
            "kind__exact",
            "held__exact",
            "routed_at__isempty",
            "o",
            "p",
        ):
            answer = operator.get(page(model), {name: odd}, follow=True)
            assert answer.status_code in {200, 400}, (name, odd)


@named
def test_a_list_takes_the_same_statements_however_long(
    operator: Client, world: Callable[[int], None], model: Any, django_assert_num_queries: Any
) -> None:
    world(1)
    operator.get(page(model))
    with _counted() as first:
        operator.get(page(model))
    for number in range(2, 6):
        world(number)

    with django_assert_num_queries(len(first)) as then:
        operator.get(page(model))

    assert len(first) <= 12
    assert not any("COUNT(*)" in each["sql"] and "LIMIT" not in each["sql"] for each in then.captured_queries)


@pytest.mark.parametrize("model", [each for each in MODELS if each is not FlowSchedule], ids=lambda each: each.__name__)
def test_what_the_engine_owns_cannot_be_written(operator: Client, world: Callable[[int], None], model: Any) -> None:
    world(1)
    clock._read_anchor()
    row = model.objects.first()

    assert operator.get(page(model, of="add")).status_code == 403
    assert operator.post(page(model, row.pk, of="change"), {"status": "completed"}).status_code == 403
    assert operator.post(page(model, row.pk, of="delete"), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


def test_pages_of_celery_beat_open_and_lead_to_the_schedules(operator: Client) -> None:
    for model in apps.get_app_config("django_celery_beat").get_models():
        if admin.site.is_registered(model):
            assert page(FlowSchedule) in operator.get(page(model)).content.decode()
            assert operator.get(page(model, of="add")).status_code == 200


def test_things_are_found_by_what_names_them(operator: Client, world: Callable[[int], None]) -> None:
    world(1)
    world(2)
    activity = Activity.objects.first()
    assert activity is not None

    def found(model: Any, text: Any) -> int:
        return len(operator.get(page(model), {"q": str(text)}).context["cl"].result_list)

    assert found(Activity, activity.instance_id) == found(Activity, activity.idempotency_key) == 1
    assert found(InboundEvent, "p1") == found(InboundEvent, "e2") == 1
    assert (
        found(StoredEvent, activity.instance_id)
        == StoredEvent.objects.filter(aggregate_id=activity.instance_id).count()
    )
    assert found(Activity, "nothing") == found(StoredEvent, "nothing") == 0


# --- instances ---


def _counted() -> Any:
    return CaptureQueriesContext(connection)
