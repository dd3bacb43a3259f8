"""Lists of the admin are read by the index of the tenant or state that is chosen, and hold what was asked for."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flows import lifecycle
from tests.flows.conftest import NOON
from tests.support.graphs import chain

LIST = reverse("admin:flows_flowinstance_changelist")


@pytest.fixture
def crowd(flow, other_tenant, instance_of):
    """Instances of two tenants who wait and who have failed, each a minute after the one before."""
    others = lifecycle.create(other_tenant, "Others", graph=chain(1))
    for each in (flow, others):
        lifecycle.activate(each)
    error = {"code": "no_edge", "detail": "No edge.", "node_id": "pause"}
    for n in range(90):
        instance_of(others if n % 3 == 0 else flow, f"p{n}", entered_at=NOON + timedelta(minutes=n), status="waiting")
    for n in range(3):
        instance_of(flow, f"failed{n}", entered_at=NOON - timedelta(days=3 - n), status="failed", error=error)
    return flow


def listed(client, **chosen):
    found = client.get(LIST, chosen)
    assert found.status_code == 200
    return [row.participant_id for row in found.context["cl"].result_list]


def test_what_is_chosen_is_listed_by_entry(admin_client, crowd):
    waiting = [f"p{n}" for n in reversed(range(90))]
    theirs = [f"p{n}" for n in reversed(range(90)) if n % 3]
    failed = ["failed2", "failed1", "failed0"]
    whose = {"tenant__id__exact": crowd.tenant_id}

    assert listed(admin_client, status__exact="failed") == failed
    assert listed(admin_client, status__exact="waiting") == waiting[:50]
    assert listed(admin_client, status__exact="waiting", p=2) == waiting[50:]
    assert listed(admin_client, **whose, status__exact="waiting") == theirs[:50]
    assert listed(admin_client, **whose) == theirs[:50]
    assert listed(admin_client, **whose, p=2) == [*theirs[50:], *failed]
    assert listed(admin_client, status__exact="paused") == []


def test_a_tenant_that_is_none_is_no_error(admin_client, crowd):
    assert admin_client.get(LIST, {"tenant__id__exact": "nobody"}).status_code == 302
    assert listed(admin_client, tenant__id__exact=crowd.pk) == []


@pytest.mark.parametrize("name", ["marketing_delivery", "marketing_suppression", "marketing_capslot"])
def test_a_filter_does_not_read_the_table_for_what_it_offers(admin_client, name):
    with CaptureQueriesContext(connection) as asked:
        page = admin_client.get(reverse(f"admin:{name}_changelist"))

    assert b"in_app" in page.content
    assert not [each["sql"] for each in asked if "DISTINCT" in each["sql"]]
