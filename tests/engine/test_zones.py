"""By which clock a participant without a zone waits."""

from __future__ import annotations

from collections.abc import Callable

from engine.models import Timer
from tenants.models import Tenant
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage

TOMORROW_AT_NINE = {
    "entry": (*ENTRY, {None: "nine"}),
    "nine": ("wait_until", {"mode": "next_local_time", "time": "09:00"}, {None: "done"}),
    "done": ("exit", {}),
}


def test_where_the_flow_names_no_zone_the_tenants_counts(passage: Callable[..., Passage], tenant: Tenant) -> None:
    tenant.timezone = "Asia/Tokyo"
    tenant.save()

    passage(graph(TOMORROW_AT_NINE)).start()

    assert Timer.objects.get().due_at.isoformat() == "2030-01-02T00:00:00+00:00"


def test_the_flows_zone_goes_before_the_tenants(passage: Callable[..., Passage], tenant: Tenant) -> None:
    tenant.timezone = "Asia/Tokyo"
    tenant.save()

    passage(graph(TOMORROW_AT_NINE, default_timezone="America/New_York")).start()

    assert Timer.objects.get().due_at.isoformat() == "2030-01-01T14:00:00+00:00"
