"""Journeys in tests: a segment with members, a flow that waits, and everything that happens in the background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine import clock, event_router, schedules
from marketing import journeys
from marketing.journeys import intakes, launches
from marketing.models import Customer, Journey, Segment, SegmentMember
from marketing.segments import catalog, due
from tenants.models import Tenant
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle

IS_PRO = {"path": "participant.plan", "op": "eq", "value": "pro"}
WAITING: dict[str, tuple[Any, ...]] = {
    "wait": ("wait", {"duration": "3d"}, {None: "end"}),
    "end": ("exit", {"reason": "through"}),
}
BY_EVENT = graph({"in": (*ENTRY, {None: "wait"}), **WAITING})
BY_SEGMENT = graph({"in": ("segment_entry", {"segment_id": "pros"}, {None: "wait"}), **WAITING})


def settle() -> None:
    """Let everything happen that would happen in the background."""
    while due.run(5.0) + event_router.route(slice_s=5.0) + launches.run(5.0) + intakes.run(5.0) + schedules.run_due():
        pass
    run_until_idle()


@pytest.fixture
def pros(tenant: Tenant) -> Callable[..., Segment]:
    """Make the segment `pros` of so many customers."""

    def make(members: int = 0, of: Tenant | None = None) -> Segment:
        now, owner = clock.now(), of or tenant
        people = [
            Customer(tenant=owner, external_id=f"c{n:03}", properties={"plan": "pro"}, created_at=now, updated_at=now)
            for n in range(members)
        ]
        Customer.objects.bulk_create(people)
        segment = catalog.create(owner, {"slug": "pros", "rule": IS_PRO})
        settle()
        assert SegmentMember.objects.filter(segment=segment).count() == members
        return segment

    return make


@pytest.fixture
def journey(tenant: Tenant) -> Callable[..., Journey]:
    """Make a journey of a graph."""

    def make(raw: Any = BY_EVENT, name: str = "Win back", **given: Any) -> Journey:
        return journeys.create(tenant, name, **({"graph": raw} if "flow" not in given else {}), **given)

    return make
