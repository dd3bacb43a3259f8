"""Whom an event or a timer wakes is run in the same transaction, by the loop's own rules."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from django.db import transaction

from engine import event_router, timers, triggers
from engine.connections import one
from engine.execution import lookback
from engine.inbox import publish_event
from engine.models import InboundEvent, StoredEvent
from engine.models.claim import BatchClaim
from engine.nodes import registry
from engine.nodes.base import Node, NodeConfig, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Outcome
from flows.models import Flow, FlowInstance
from tenants.models import Tenant
from tests.engine.conftest import NOON, FakeClock
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage, run_until_idle
from tests.support.races import Meanwhile
from tests.support.soundness import assert_all_sound

WAITS: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "event": ("wait_for_event", {"event_type": "go", "timeout": "3d"}, "event_received"),
    "timer": ("wait", {"duration": "1d"}, None),
}
WAYS: dict[str, Callable[[], Any]] = {
    "nul": lambda: Completed({"bad": "nul \x00"}),
    "object": lambda: Completed({"bad": object()}),
    "nothing": lambda: None,
}


class Telltale(Node):
    """Notes what is announced while it runs, and does what its participant says."""

    type = "telltale"
    runs_as = RunsAs.INLINE
    announced: ClassVar[dict[str, bool]] = {}

    class Config(NodeConfig):
        """Nothing to say."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        found = BatchClaim.objects.filter(instance_ids__contains=[step.instance_id])
        Telltale.announced[step.participant_id] = found.exists()
        return WAYS.get(step.participant_id, lambda: Completed({"ok": True}))()


@pytest.fixture(autouse=True)
def telltale() -> Iterator[None]:
    """What is raised here cannot even be logged everywhere."""
    registry.register(Telltale)
    Telltale.announced.clear()
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def waiting_then_telltale(cause: str) -> dict[str, Any]:
    node_type, config, branch = WAITS[cause]
    edges = {branch: "node"} | ({"timed_out": "node"} if cause == "event" else {})
    return graph(
        {
            "entry": (*ENTRY, {None: "wait"}),
            "wait": (node_type, config, edges),
            "node": ("telltale", {}, {None: "done"}),
            "done": ("exit", {"reason": "through"}),
        }
    )


def wake(cause: str, names: list[str], tenant: Tenant, now: FakeClock) -> int:
    if cause == "timer":
        now.advance(days=1)
        return timers.wake_due()
    for name in names:
        publish_event(name, "go", tenant=tenant)
    return event_router.route()


def statuses() -> dict[str, str]:
    return dict(FlowInstance.objects.values_list("participant_id", "status"))


@pytest.mark.parametrize("cause", sorted(WAITS))
def test_who_is_woken_has_gone_on_when_the_cause_is_committed(
    flow_of: Callable[..., Flow], tenant: Tenant, now: FakeClock, cause: str
) -> None:
    names = [f"p{i}" for i in range(20)]
    triggers.start_many(flow_of(waiting_then_telltale(cause)), names)
    run_until_idle()

    assert wake(cause, names, tenant, now) == 20

    assert statuses() == dict.fromkeys(names, "completed")
    assert Telltale.announced == dict.fromkeys(names, True)
    assert not BatchClaim.objects.exists()
    assert_all_sound()


@pytest.mark.parametrize("cause", sorted(WAITS))
@pytest.mark.parametrize("way", sorted(WAYS))
def test_one_whose_run_cannot_be_stored_fails_alone_and_was_woken(
    flow_of: Callable[..., Flow], tenant: Tenant, now: FakeClock, cause: str, way: str
) -> None:
    names = [*(f"p{i}" for i in range(20)), way]
    triggers.start_many(flow_of(waiting_then_telltale(cause)), names)
    run_until_idle()

    assert wake(cause, names, tenant, now) == 21
    run_until_idle()

    assert statuses() == dict.fromkeys(names, "completed") | {way: "failed"}
    assert StoredEvent.objects.filter(type="wait_resolved").count() == 21
    kinds = {effect["kind"] for event in InboundEvent.objects.all() for effect in event.effects}
    assert kinds == ({"wait_resolved"} if cause == "event" else set())
    assert not BatchClaim.objects.exists()
    assert_all_sound()


@pytest.mark.parametrize("cause", sorted(WAITS))
def test_a_suspect_is_woken_and_left_to_be_run_alone(
    flow_of: Callable[..., Flow], tenant: Tenant, now: FakeClock, cause: str
) -> None:
    triggers.start_many(flow_of(waiting_then_telltale(cause)), ["ada", "bob"])
    run_until_idle()
    FlowInstance.objects.filter(participant_id="bob").update(deaths=1)

    wake(cause, ["ada", "bob"], tenant, now)

    assert statuses() == {"ada": "completed", "bob": "running"}
    assert list(Telltale.announced) == ["ada"]
    run_until_idle()
    assert statuses() == {"ada": "completed", "bob": "completed"}


def test_a_run_of_a_paused_flow_is_woken_and_does_nothing(
    flow_of: Callable[..., Flow], tenant: Tenant, now: FakeClock
) -> None:
    flow = flow_of(waiting_then_telltale("event"))
    triggers.start(flow, "ada")
    run_until_idle()
    Flow.objects.filter(pk=flow.pk).update(status="paused", paused_at=NOON)

    wake("event", ["ada"], tenant, now)

    assert statuses() == {"ada": "running"}
    assert Telltale.announced == {}


def test_a_timer_fires_although_its_run_next_waits_for_an_event_and_the_participant_is_with_a_router(
    passage: Callable[..., Passage], tenant: Tenant, now: FakeClock
) -> None:
    ada = passage(
        graph(
            {
                "entry": (*ENTRY, {None: "pause"}),
                "pause": ("wait", {"duration": "1d"}, {None: "reply"}),
                "reply": ("wait_for_event", {"event_type": "go"}, {"event_received": "done", "timed_out": "done"}),
                "done": ("exit", {"reason": "through"}),
            }
        )
    ).start()
    now.advance(days=1)
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            assert lookback.try_participants([lookback.participant_key(str(tenant.pk), ada.participant_id)])
            held.set()
            assert let_go.wait(60)

    with Meanwhile(hold) as router:
        assert held.wait(60)
        assert timers.wake_due() == 1
        assert (ada.status, ada.instance.runnable) == ("running", True)
        assert ada.event_types[-1] == "wait_resolved"
        let_go.set()
        router.answer()
    run_until_idle()

    assert ada.waiting_at == ["reply"]
    assert one("SELECT count(*) FROM batch_claims") == 0
    assert_all_sound()


def test_whether_an_event_starts_a_flow_is_decided_by_how_the_run_stood_that_it_wakes(
    flow_of: Callable[..., Flow], tenant: Tenant, now: FakeClock
) -> None:
    nodes: dict[str, tuple[Any, ...]] = {
        "entry": ("event_entry", {"event_type": "go"}, {None: "wait"}),
        "wait": (WAITS["event"][0], WAITS["event"][1], {"event_received": "done", "timed_out": "done"}),
        "done": ("exit", {"reason": "through"}),
    }
    triggers.start(flow_of(graph(nodes)), "ada")
    run_until_idle()

    wake("event", ["ada"], tenant, now)
    run_until_idle()

    assert statuses() == {"ada": "completed"}
    (event,) = InboundEvent.objects.all()
    assert [(each["kind"], each.get("code")) for each in event.effects] == [
        ("wait_resolved", None),
        ("refused", "already_in_flow"),
    ]
