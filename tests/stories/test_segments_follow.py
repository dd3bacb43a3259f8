"""A change of a profile starts the flow of the segment that it leads into, with a broker and without one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine import clock
from engine.inbox import publish_event
from engine.models import InboundEvent
from flows.models import Flow, FlowInstance
from kalcifer.supervisor import Supervisor
from marketing.models import Customer, Segment
from marketing.segments import catalog, changes
from tenants.models import Tenant
from tests.support.graphs import graph
from tests.support.processes import wait_for
from tests.support.soundness import assert_all_sound

pytestmark = pytest.mark.processes

RULE = {"all": [{"path": "participant.plan", "op": "eq", "value": "pro"}, {"event": "bought", "within": "30d"}]}
FLOW = graph({"in": ("segment_entry", {"segment_id": "pros"}, {None: "end"}), "end": ("exit", {"reason": "in"})})


@pytest.mark.parametrize(
    ("roles", "broker"),
    [(("advance", "background"), {}), (("sweeper",), {"REDIS_URL": "redis://127.0.0.1:1/0"})],
    ids=["by doorbells alone", "by the sweeper alone"],
)
def test_it_follows(
    tenant: Tenant,
    flow_of: Callable[..., Flow],
    workers: Callable[..., Supervisor],
    roles: tuple[str, ...],
    broker: dict[str, str],
) -> None:
    workers(*roles, environment=broker)
    now = clock.now()
    ada = Customer.objects.create(tenant=tenant, external_id="ada", created_at=now, updated_at=now)
    catalog.create(tenant, {"slug": "pros", "rule": RULE})
    flow_of(FLOW)
    wait_for(lambda: Segment.objects.get().evaluated_at, seconds=60, what="the segment to be evaluated")

    publish_event("ada", "bought", tenant=tenant)
    ada.properties = {"plan": "pro"}
    ada.save(update_fields=["properties"])
    changes.note(tenant.pk, ["ada"], {"fields": ["plan"]})

    wait_for(lambda: FlowInstance.objects.filter(status="completed").count(), seconds=60, what="the flow to run")
    assert InboundEvent.objects.filter(event_type="segment.entered").count() == 1
    assert_all_sound()
