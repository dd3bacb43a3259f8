"""Events: what waits for them, what they start, what they end, and what comes too late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import event_router, ports, timers
from engine.inbox import publish_event
from engine.models import EventSubscription, InboundEvent, Timer
from flows.models import Flow, FlowInstance
from tenants.models import Tenant
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage, run_until_idle

REPLY_OR_NUDGE: dict[str, tuple[Any, ...]] = {
    "entry": (*ENTRY, {None: "reply"}),
    "reply": (
        "wait_for_event",
        {"event_type": "replied", "timeout": "3d"},
        {"event_received": "thanks", "timed_out": "gave_up"},
    ),
    "thanks": ("exit", {"reason": "replied"}),
    "gave_up": ("exit", {"reason": "silent"}),
}


def happen(passage: Passage, event_type: str, **options: Any) -> InboundEvent:
    received = publish_event(passage.participant_id, event_type, tenant=passage.flow.tenant, **options)
    event_router.route()
    run_until_idle()
    return InboundEvent.objects.get(tenant=passage.flow.tenant, event_id=received.event_id)


def test_a_reply_ends_the_wait(passage: Callable[..., Passage]) -> None:
    ada = passage(graph(REPLY_OR_NUDGE)).start()
    assert ada.waiting_at == ["reply"]

    event = happen(ada, "replied", data={"text": "yes"})

    assert ada.instance.exit_reason == "replied"
    assert ada.results["reply"]["event"] == {"text": "yes"}
    assert [effect["kind"] for effect in event.effects] == ["wait_resolved"]
    assert not Timer.objects.exists()
    assert not EventSubscription.objects.exists()


def test_silence_ends_it_too(passage: Callable[..., Passage], now: Any) -> None:
    ada = passage(graph(REPLY_OR_NUDGE)).start()

    now.advance(days=3, seconds=-1)
    assert timers.wake_due() == 0
    now.advance(seconds=1)
    assert timers.wake_due() == 1
    run_until_idle()

    assert ada.instance.exit_reason == "silent"
    assert [step.status for step in ada.steps] == ["completed"] * 3


def test_an_event_that_happened_in_time_beats_a_timer_that_is_due(passage: Callable[..., Passage], now: Any) -> None:
    ada = passage(graph(REPLY_OR_NUDGE)).start()
    publish_event("ada", "replied", tenant=ada.flow.tenant)

    now.advance(days=4)
    assert timers.wake_due() == 0
    event_router.route()
    run_until_idle()

    assert ada.instance.exit_reason == "replied"


def test_an_event_that_happened_too_late_loses_against_a_timer_nobody_fired_yet(
    passage: Callable[..., Passage], now: Any
) -> None:
    ada = passage(graph(REPLY_OR_NUDGE)).start()

    now.advance(days=4)
    event = happen(ada, "replied")
    timers.wake_due()
    run_until_idle()

    assert [effect["code"] for effect in event.effects] == ["late_event"]
    assert ada.instance.exit_reason == "silent"


def test_an_event_starts_a_flow_once(flow_of: Callable[..., Flow], tenant: Tenant) -> None:
    flow_of(graph(REPLY_OR_NUDGE))

    for _ in range(2):
        publish_event("ada", "signed_up", event_id="s1", tenant=tenant)
        event_router.route()
    publish_event("ada", "signed_up", event_id="s2", tenant=tenant)
    event_router.route()

    assert FlowInstance.objects.count() == 1
    assert InboundEvent.objects.get(event_id="s2").effects[0]["code"] == "already_in_flow"


def test_a_second_event_sees_what_the_first_one_started(flow_of: Callable[..., Flow], tenant: Tenant) -> None:
    flow_of(graph(REPLY_OR_NUDGE, exit_criteria={"on_event": ["account_deleted"]}))
    publish_event("ada", "signed_up", tenant=tenant)
    publish_event("ada", "account_deleted", tenant=tenant)

    event_router.route()

    ada = FlowInstance.objects.get()
    assert (ada.status, ada.exit_reason) == ("exited", "exit_criteria")


def test_a_look_back_finds_what_came_before_the_wait(passage: Callable[..., Passage], tenant: Tenant) -> None:
    nodes = dict(REPLY_OR_NUDGE)
    nodes["reply"] = (
        *REPLY_OR_NUDGE["reply"][:1],
        {**REPLY_OR_NUDGE["reply"][1], "lookback": "since_entry"},
        REPLY_OR_NUDGE["reply"][2],
    )
    ada = passage(graph(nodes))
    publish_event("ada", "replied", tenant=tenant)
    event_router.route()

    ada.start()

    assert ada.instance.exit_reason == "replied"
    assert EventSubscription.objects.count() == 0


def test_without_a_look_back_it_waits(passage: Callable[..., Passage], tenant: Tenant, now: Any) -> None:
    ada = passage(graph(REPLY_OR_NUDGE))
    publish_event("ada", "replied", tenant=tenant)
    now.advance(seconds=1)

    ada.start()
    event_router.route()

    assert ada.waiting_at == ["reply"]


def test_a_goal_ends_the_run_unless_the_event_resolves_one_of_its_waits(passage: Callable[..., Passage]) -> None:
    goal = {"name": "won", "event_type": "bought", "window": "30d", "exit_on_goal": True}
    ada = passage(graph(REPLY_OR_NUDGE, goal=goal)).start()

    happen(ada, "bought")

    assert (ada.status, ada.instance.exit_reason) == ("exited", "goal")
    assert "goal_reached" in ada.event_types


def test_a_duplicate_entry_times_the_wait_anew(flow_of: Callable[..., Flow], tenant: Tenant, now: Any) -> None:
    flow_of(graph(REPLY_OR_NUDGE, on_duplicate_entry={"if_at_node": "reply", "do": "restart_wait", "else": "ignore"}))
    publish_event("ada", "signed_up", data={"try": 1}, tenant=tenant)
    event_router.route()
    run_until_idle()

    now.advance(days=2)
    publish_event("ada", "signed_up", data={"try": 2}, tenant=tenant)
    event_router.route()

    assert FlowInstance.objects.get().context["entry"] == {"try": 2}
    now.advance(days=2)
    assert timers.wake_due() == 0
    now.advance(days=1)
    assert timers.wake_due() == 1


def test_the_loss_of_a_segment_ends_a_run_at_once_where_it_says_so(passage: Callable[..., Passage]) -> None:
    criteria = {"on_segment_exit": "vip", "when": "immediately"}
    with ports.binding(segments=ports.Nobody()):
        ada = passage(graph(REPLY_OR_NUDGE, exit_criteria=criteria)).start()

    happen(ada, "segment.left", data={"segment_id": "new"})
    assert ada.status == "waiting"
    happen(ada, "segment.left", data={"segment_id": "vip"})

    assert (ada.status, ada.instance.exit_reason) == ("exited", "exit_criteria")
    assert EventSubscription.objects.count() == 0


def test_an_event_that_ended_one_wait_does_not_end_the_next_that_looks_back(passage: Callable[..., Passage]) -> None:
    wait = {"event_type": "replied", "timeout": "3d", "lookback": "since_entry"}
    nodes: dict[str, tuple[Any, ...]] = {
        "entry": (*ENTRY, {None: "first"}),
        "first": ("wait_for_event", wait, {"event_received": "second", "timed_out": "done"}),
        "second": ("wait_for_event", wait, {"event_received": "done", "timed_out": "done"}),
        "done": ("exit", {}),
    }
    ada = passage(graph(nodes)).start()

    happen(ada, "replied")
    assert ada.waiting_at == ["second"]

    happen(ada, "replied")
    assert ada.status == "completed"
