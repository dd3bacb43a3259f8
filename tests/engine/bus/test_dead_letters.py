"""A dead letter is seen and repaired where every side effect is: over REST and in the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from engine import Retry
from engine.bus import EventBus
from engine.event_store.events import Event
from engine.models import Activity
from tenants.models import Tenant
from tests.engine.api.conftest import agree, api, client_of, forget_between_tests, schema
from tests.engine.bus.handlers import fail

__all__ = ["agree", "api", "client_of", "forget_between_tests", "schema"]


@pytest.fixture
def letter(bus: EventBus, work: Callable[[], None]) -> Activity:
    bus.subscribe("paid", fail, retry=Retry(attempts=1))
    bus.publish_sync(Event("paid", {"amount": 5}, aggregate_id="account"))
    work()
    return Activity.objects.get(status="parked")


@pytest.mark.parametrize(("verb", "status"), [("retry", "pending"), ("complete", "completed"), ("fail", "failed")])
def test_over_rest(
    api: APIClient,
    agree: Callable[..., Any],
    letter: Activity,
    client_of: Callable[..., APIClient],
    other_tenant: Tenant,
    verb: str,
    status: str,
) -> None:
    (listed,) = agree(api, "get", "/api/v1/activities").json()["results"]
    assert (listed["kind"], listed["target"]) == ("delivery", "tests.engine.bus.handlers:fail")
    assert listed["input"]["event"]["data"] == {"amount": 5}
    assert listed["error"]["detail"] == "ValueError: no luck with {'amount': 5}"
    template = f"/api/v1/activities/{{activity_id}}/{verb}"
    assert client_of(other_tenant).post(template.format(activity_id=letter.pk), {}).status_code == 404

    done = agree(api, "post", template, {}, activity_id=str(letter.pk))

    assert (done.status_code, done.json()["status"]) == (200, status)


def test_in_the_admin(letter: Activity) -> None:
    get_user_model().objects.create_superuser("ada", password="x")
    operator = Client()
    operator.login(username="ada", password="x")

    shown = operator.get(reverse("admin:engine_activity_change", args=[letter.pk]))

    assert [label for label, *_ in shown.context["buttons"]] == ["Retry", "Complete", "Fail"]
    assert "no luck with" in shown.content.decode()
