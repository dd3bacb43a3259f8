"""`manage.py load_sample`: a shop in an empty system, once."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from engine import event_router
from engine.nodes import duration
from flows import publishing
from flows.models import Flow, FlowInstance
from kalcifer.demo.sample import loading
from marketing.journeys import intakes
from marketing.models import Customer, Delivery, Journey, SegmentMember
from tenants.models import Tenant
from tests.engine.conftest import fake_time, rung
from tests.support.passage import run_until_idle

__all__ = ["fake_time", "rung"]


@pytest.fixture
def load(transactional_db: None) -> Any:
    def call(customers: int = 40) -> dict[str, Any]:
        out = StringIO()
        call_command("load_sample", "--json", f"--customers={customers}", stdout=out)
        return dict(json.loads(out.getvalue()))

    return call


def test_it_fills_an_empty_system_and_leaves_what_is_there(load: Any) -> None:
    first = load()
    again = load()

    assert (first["customers"], first["journeys"], first["segments"]) == (40, 5, 5)
    assert {name: count for name, count in again.items() if name != "tenant_id"} == dict.fromkeys(
        again.keys() - {"tenant_id"}, 0
    )
    assert set(Journey.objects.values_list("status", flat=True)) == {"active"}


def test_a_load_that_was_stopped_is_carried_on(load: Any) -> None:
    load()
    Customer.objects.filter(external_id__gt="sample-00020").delete()
    Journey.objects.filter(name="Win-back").delete()

    again = load()

    assert (again["customers"], again["journeys"]) == (20, 1)


def test_it_keeps_out_of_a_system_that_is_in_use(load: Any) -> None:
    shop = Tenant.objects.create(name="Acme")
    Flow.objects.create(tenant=shop, name="Ours")

    with pytest.raises(CommandError, match="the tenant Acme"):
        load()
    assert not Customer.objects.exists()


def test_every_journey_can_be_published_without_a_problem(load: Any) -> None:
    load(0)

    for flow in Flow.objects.select_related("active_version", "tenant"):
        assert flow.active_version is not None
        found = publishing.validate(flow.active_version.graph, flow.tenant)
        assert found.errors == (), flow.name


def test_whoever_sleeps_is_written_to(load: Any) -> None:
    load()
    while intakes.is_due():
        intakes.run(5.0)
    event_router.route()
    run_until_idle()

    sleeping = set(
        SegmentMember.objects.filter(segment__slug="sleeping").values_list("customer__external_id", flat=True)
    )
    runs = FlowInstance.objects.filter(flow__name="Win-back")
    written_to = Delivery.objects.filter(template_id="win_back_hello")
    assert 0 < len(sleeping) < 20
    assert set(runs.values_list("participant_id", flat=True)) == sleeping
    assert 0 < written_to.count() <= len(sleeping)


@pytest.mark.parametrize("name", loading.JOURNEYS)
def test_waits_are_long_enough_to_be_seen(name: str) -> None:
    waits = [node for node in loading.graph(name)["nodes"] if node["type"] == "wait_for_event"]

    assert waits
    assert min(duration.parse(node["config"]["timeout"]).days for node in waits) >= 9
