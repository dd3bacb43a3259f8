"""What is stored says which request and which event it came of."""

from __future__ import annotations

from collections.abc import Callable

from engine import event_router
from engine.inbox import publish_event
from engine.models import StoredEvent
from flows.models import Flow
from tenants.models import Tenant
from tests.engine.test_event_router import REPLY_OR_NUDGE
from tests.support.graphs import graph
from tests.support.passage import run_until_idle


def test_events_lead_back_to_the_request_that_caused_them(flow_of: Callable[..., Flow], tenant: Tenant) -> None:
    flow_of(graph(REPLY_OR_NUDGE))
    publish_event("ada", "signed_up", event_id="e-1", correlation_id="r-1", tenant=tenant)
    publish_event("bob", "signed_up", event_id="e-2", correlation_id="r-2", tenant=tenant)
    event_router.route(task_id="t-1")
    run_until_idle()
    publish_event("ada", "replied", event_id="e-3", correlation_id="r-3", tenant=tenant)
    event_router.route(task_id="t-2")

    begun = {each.data["participant_id"]: each.metadata for each in StoredEvent.objects.filter(type="flow_started")}
    resolved = StoredEvent.objects.get(type="wait_resolved").metadata

    assert begun["ada"] == {"actor": "event", "correlation_id": "r-1", "causation_id": "e-1", "task_id": "t-1"}
    assert begun["bob"] == {"actor": "event", "correlation_id": "r-2", "causation_id": "e-2", "task_id": "t-1"}
    assert resolved == {"actor": "event", "correlation_id": "r-3", "causation_id": "e-3", "task_id": "t-2"}
