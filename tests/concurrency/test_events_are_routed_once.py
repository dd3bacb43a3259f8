"""An event counts once, however many send it and however many route it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from engine import event_router
from engine.connections import execute, one
from engine.inbox import publish_event
from engine.models import InboundEvent, StoredEvent
from flows.models import Flow, FlowInstance
from tenants.models import Tenant
from tests.support.graphs import graph
from tests.support.passage import run_until_idle
from tests.support.races import at_once
from tests.support.soundness import assert_all_sound

THREADS = 16
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"

REPLY: dict[str, tuple[Any, ...]] = {
    "entry": ("event_entry", {"event_type": "signed_up"}, {None: "reply"}),
    "reply": (
        "wait_for_event",
        {"event_type": "replied", "timeout": "3d"},
        {"event_received": "done", "timed_out": "done"},
    ),
    "done": ("exit", {"reason": "through"}),
}


def test_the_same_event_from_sixteen_senders_and_routers_starts_one_run(
    flow_of: Callable[..., Flow], tenant: Tenant
) -> None:
    flow_of(graph(REPLY, reentry="always"))

    def send_and_route() -> bool:
        received = publish_event("ada", "signed_up", event_id="one", tenant=tenant)
        event_router.route()
        return received.duplicate

    duplicates = at_once([send_and_route] * THREADS)
    event_router.route()

    assert Counter(duplicates) == {False: 1, True: THREADS - 1}
    assert FlowInstance.objects.count() == 1
    assert [effect["kind"] for effect in InboundEvent.objects.get().effects] == ["started"]


def test_routers_that_race_route_each_event_once(flow_of: Callable[..., Flow], tenant: Tenant) -> None:
    flow_of(graph(REPLY))
    names = [f"p{i}" for i in range(300)]
    for name in names:
        publish_event(name, "signed_up", tenant=tenant)
    event_router.route()
    run_until_idle()
    for name in names:
        for _ in range(2):
            publish_event(name, "replied", tenant=tenant)

    at_once([lambda: event_router.route(slice_s=20)] * 4)
    # Whoever met a colleague's lock passed it over; nothing may be left behind for good.
    event_router.route(slice_s=20)
    run_until_idle()

    assert not InboundEvent.objects.filter(routed_at=None).exists()
    assert FlowInstance.objects.filter(status="completed").count() == len(names)
    assert StoredEvent.objects.filter(type="wait_resolved").count() == len(names)
    resolved = [
        each for event in InboundEvent.objects.all() for each in event.effects if each["kind"] == "wait_resolved"
    ]
    assert len(resolved) == len(names)
    assert_all_sound()


@pytest.mark.parametrize("planned", ["by index", "by sorting"])
def test_a_router_locks_no_more_participants_than_it_takes(
    flow_of: Callable[..., Flow], tenant: Tenant, planned: str
) -> None:
    flow_of(graph(REPLY))
    for number in range(6):
        publish_event(f"p{number}", "signed_up", tenant=tenant)

    with transaction.atomic():
        for way in ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"):
            execute(f"SET LOCAL {way} = {planned == 'by index'}")
        taken = execute(event_router.TAKE_PARTICIPANTS, {"limit": 4}).fetchall()
        locked = one(LOCKS)

    assert sorted(row[1] for row in taken) == ["p0", "p1", "p2", "p3"]
    assert locked == 4
