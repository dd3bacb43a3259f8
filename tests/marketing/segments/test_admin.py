"""Segments as operators see them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from marketing.models import Customer, Segment
from marketing.segments import catalog, due
from tenants.models import Tenant

IS_PRO = {"path": "participant.plan", "op": "eq", "value": "pro"}
ADD = "admin:marketing_segment_add"
CHANGE = "admin:marketing_segment_change"
PRESS = "admin:marketing_segment_press"


@pytest.fixture
def operator(client: Client, transactional_db: None) -> Client:
    client.force_login(get_user_model().objects.create_superuser("olga"))
    return client


def form(tenant: Tenant, **facts: str) -> dict[str, str]:
    given = {"tenant": str(tenant.pk), "slug": "pros", "name": "Pros", "description": "", "type": "dynamic"}
    return {**given, "rule": json.dumps(IS_PRO), **facts}


def test_a_segment_is_made_tried_evaluated_and_changed(
    operator: Client, tenant: Tenant, customer: Callable[..., Customer]
) -> None:
    customer("ada", properties={"plan": "pro"})
    assert operator.post(reverse(ADD), form(tenant)).status_code == 302
    pros = Segment.objects.get(slug="pros")
    due.run(5.0)

    page = operator.get(reverse(CHANGE, args=(pros.pk,)))
    assert "Evaluate again" in page.content.decode()
    tried = operator.post(reverse(PRESS, args=(pros.pk, "preview")), follow=True)
    assert "1 customers match now, such as ada." in tried.content.decode()
    assert operator.post(reverse(PRESS, args=(pros.pk, "evaluate"))).status_code == 302
    assert due.is_due()

    changed = form(tenant, name="Everybody", rule="{}")
    assert operator.post(reverse(CHANGE, args=(pros.pk,)), changed).status_code == 302
    pros.refresh_from_db()
    assert (pros.name, pros.rule, pros.slug) == ("Everybody", {}, "pros")


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"rule": '{"path": "participant.plan", "op": "is"}'}, "rule.op: "),
        ({"rule": '{"path": "participant.plan", "op": "eq", "value": "\\u0000"}'}, "NUL"),
        ({"rule": '{"path": "participant.plan", "op": "eq", "value": "\\ud800"}'}, "Enter a valid JSON."),
        ({"rule": "null"}, "A dynamic segment needs a rule."),
        ({"rule": "{"}, "Enter a valid JSON."),
        ({"slug": "a b"}, "Letters, digits"),
        ({"type": "static"}, "A static segment has no rule"),
    ],
)
def test_a_mistake_is_told_beside_its_field(operator: Client, tenant: Tenant, facts: dict[str, str], told: str) -> None:
    page = operator.post(reverse(ADD), form(tenant, **facts))

    assert page.status_code == 200
    assert told in page.content.decode()
    assert not Segment.objects.exists()


def test_a_slug_that_is_taken_is_told(operator: Client, tenant: Tenant) -> None:
    catalog.create(tenant, {"slug": "pros", "rule": {}})

    page = operator.post(reverse(ADD), form(tenant))

    assert page.status_code == 200
    assert Segment.objects.count() == 1


@pytest.mark.parametrize("model", ["segment", "segmentmember", "segmentdue"])
def test_lists_and_rows_are_shown(
    operator: Client, tenant: Tenant, customer: Callable[..., Customer], model: str
) -> None:
    customer("ada", properties={"plan": "pro"})
    pros = catalog.create(tenant, {"slug": "pros", "rule": IS_PRO})
    due.run(5.0)
    address = reverse(f"admin:marketing_{model}_changelist")

    for query in ({}, {"q": str(pros.pk)}, {"q": "ada"}):
        assert operator.get(address, query).status_code == 200
    members = reverse("admin:marketing_segmentmember_changelist")
    assert operator.get(members, {"segment__id__exact": str(pros.pk)}).status_code == 200
