"""The flows that participants go through."""

from datetime import datetime
from itertools import pairwise
from typing import Any

from django.db import transaction

from flows import lifecycle, publishing
from flows.models import Flow
from tenants.models import Tenant

JSON = dict[str, Any]


def chain(node_type: str, length: int) -> JSON:
    """An entry, so many nodes of one type, an exit."""
    return _line([(f"n{number}", node_type, {}) for number in range(1, length + 1)])


def mixed() -> JSON:
    """Nodes in the loop and side effects in turn."""
    types = ["noop", "noop_activity", "noop", "noop_activity", "noop", "noop_activity"]
    return _line([(f"n{number}", node_type, {}) for number, node_type in enumerate(types, start=1)])


def waiting_for(event_type: str) -> JSON:
    """An entry, a wait for an event, an exit."""
    return _line([("wait", "wait_for_event", {"event_type": event_type})], branch="event_received")


def waiting_until(moment: datetime) -> JSON:
    """An entry, a wait for a moment, an exit."""
    return _line([("wait", "wait_until", {"datetime": moment.isoformat()})])


def sending(node_type: str, config: JSON) -> JSON:
    """An entry, a message, an exit."""
    return _line([("mail", node_type, config)])


def publish(tenant: Tenant, name: str, graph: JSON) -> Flow:
    """Create a flow that takes entries."""
    with transaction.atomic():
        flow = lifecycle.create(tenant, name, graph=graph)
        publishing.publish(flow.versions.get())
        flow.refresh_from_db()
        lifecycle.activate(flow)
    flow.refresh_from_db()
    return flow


def _line(middle: list[tuple[str, str, JSON]], branch: str | None = None) -> JSON:
    places = [("entry", "event_entry", {"event_type": "never_sent"}), *middle, ("done", "exit", {"reason": "through"})]
    edges = [
        {"source": here[0], "target": there[0], "branch": branch if here in middle else None}
        for here, there in pairwise(places)
    ]
    if branch == "event_received":
        edges.append({"source": "wait", "target": "done", "branch": "timed_out"})
    nodes = [{"id": place, "type": node_type, "config": config} for place, node_type, config in places]
    return {"settings": {}, "nodes": nodes, "edges": edges}
