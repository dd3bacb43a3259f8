"""The front page says what waits for somebody, and leads there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from engine import clock
from engine.models import Activity, ProjectionCheckpoint
from flows import lifecycle
from flows.models import FlowInstance
from kalcifer.models import Heartbeat
from kalcifer.rota import QUEUES
from marketing.models import Channel, ChannelGate
from tenants import admin_troubles
from tenants.models import Tenant
from tests.flows.graphs import line


@pytest.fixture
def alive(db: None) -> None:
    for serves in (",".join(QUEUES), "beat"):
        Heartbeat.objects.create(name=serves[:20], serves=serves, at=timezone.now())


@pytest.fixture
def acme(db: None) -> Tenant:
    return Tenant.objects.create(name="Acme")


def park(tenant: Tenant, *keys: str) -> list[Activity]:
    now = clock.now()
    facts: dict[str, Any] = {"tenant": tenant, "kind": "node", "target": "call_webhook", "status": "parked"}
    error = {"code": "refused", "detail": "The other side said 410."}
    return [
        Activity.objects.create(idempotency_key=key, due_at=now, created_at=now, error=error, **facts) for key in keys
    ]


def troubles(client: Client) -> dict[str, str]:
    return {found.what: found.address for found in client.get("/admin/").context["troubles"]}


def test_where_all_is_well_it_says_so(admin_client: Client, alive: None) -> None:
    assert "Nothing: every process runs" in admin_client.get("/admin/").content.decode()


def test_a_silent_process_is_named(admin_client: Client, alive: None) -> None:
    Heartbeat.objects.filter(serves="beat").update(at=timezone.now() - timedelta(minutes=1))

    assert admin_client.get("/admin/").context["silent"] == [
        "Beat has not shown life lately: schedules are left to the sweeper."
    ]


def test_one_row_in_trouble_is_a_click_away(admin_client: Client, acme: Tenant) -> None:
    (activity,) = park(acme, "one")

    assert troubles(admin_client) == {
        "1 side effect is parked: its run waits": f"/admin/engine/activity/{activity.pk}/change/"
    }
    assert "The other side said 410." in admin_client.get("/admin/engine/activity/").content.decode()


def test_several_rows_are_a_list_of_them_alone(admin_client: Client, acme: Tenant) -> None:
    park(acme, "one", "two")
    Activity.objects.filter(idempotency_key="two").update(status="completed")
    park(acme, "three")

    (address,) = troubles(admin_client).values()
    assert admin_client.get(address).context["cl"].queryset.count() == 2


def test_runs_that_failed_lately_are_told_of_and_older_ones_are_not(admin_client: Client, acme: Tenant) -> None:
    version = lifecycle.activate(lifecycle.create(acme, "Welcome", graph=line())).active_version
    facts = {"tenant": acme, "flow_id": version.flow_id, "version": version, "entered_at": clock.now()}
    for days, status in ((0, "failed"), (0, "compensation_failed"), (2, "failed"), (0, "exited")):
        ended = {"exited_at": clock.now()} if status == "exited" else {"error": {"detail": "It said no."}}
        at = clock.now() - timedelta(days=days)
        FlowInstance.objects.create(participant_id=f"{days} {status}", status=status, updated_at=at, **ended, **facts)

    (said,) = troubles(admin_client)
    assert said == "2 runs have failed within a day"


def test_stopped_projections_and_resting_channels_are_told_of(admin_client: Client, acme: Tenant) -> None:
    now = timezone.now()
    ProjectionCheckpoint.objects.create(name="balances", status="failed", error={"detail": "x"}, updated_at=now)
    for name in ("sms", "mail"):
        facts = {"tenant": acme, "channel": "email", "provider": "log", "created_at": now, "updated_at": now}
        channel = Channel.objects.create(name=name, **facts)
        ChannelGate.objects.create(channel=channel, refilled_at=now, failures=5, closed_until=now)

    found = troubles(admin_client)
    assert found["2 channels rest: their providers are in trouble"] == "/admin/marketing/channel/"
    assert "1 projection has stopped at an event" in found
    assert "resting until" in admin_client.get("/admin/marketing/channel/").content.decode()


def test_every_list_that_it_leads_to_opens(admin_client: Client) -> None:
    for trouble in admin_troubles.added:
        opts = trouble.model._meta
        answer = admin_client.get(f"/admin/{opts.app_label}/{opts.model_name}/?{trouble.query}")
        assert (answer.status_code, answer.request["QUERY_STRING"]) == (200, trouble.query)


def test_nobody_hears_of_what_they_may_not_see(client: Client, acme: Tenant) -> None:
    park(acme, "one")
    user = get_user_model().objects.create_user("bob", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_journey"))
    client.force_login(user)

    assert troubles(client) == {}


def test_its_cost_does_not_grow(admin_client: Client, acme: Tenant, alive: None) -> None:
    admin_client.get("/admin/")
    with CaptureQueriesContext(connection) as before:
        admin_client.get("/admin/")
    park(acme, *map(str, range(5)))
    with CaptureQueriesContext(connection) as after:
        admin_client.get("/admin/")

    assert len(after) == len(before)


def test_the_first_address_is_the_admin_and_has_an_icon(client: Client, db: None) -> None:
    assert client.get("/").headers["Location"] == "/admin/"
    icon = client.get("/favicon.ico")
    assert (icon.status_code, b"".join(icon)[:4]) == (200, b"\0\0\1\0")
