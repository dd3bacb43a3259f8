"""The node frequency_cap, in flows that send: what counts, for how long, and what a slot is used up by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine import connections, operations, timers, triggers
from flows.models import Flow, FlowInstance
from marketing import caps
from marketing.models import CapSlot, Delivery
from tenants.models import Tenant
from tests.marketing.caps.conftest import HELLO, capped
from tests.support.graphs import ENTRY
from tests.support.passage import Passage, run_until_idle
from tests.support.soundness import assert_all_sound

ONE = {"channel": "email", "max_messages": 1, "time_window": "24h"}
Flows = Callable[..., Flow]


def goes(flow: Flow, participant_id: str = "ada", **options: Any) -> Passage:
    return Passage(flow, participant_id).start(**options)


def branch(passage: Passage, node_id: str = "cap") -> Any:
    return passage.instance.context["outcomes"].get(node_id)


def test_a_second_flow_is_capped_until_the_window_is_over(flow_with: Flows, now: Any) -> None:
    flows = [flow_with(capped(ONE)) for _ in range(3)]

    assert branch(goes(flows[0])) == "allowed"
    assert branch(goes(flows[1])) == "capped"
    assert branch(goes(flows[1], "bob")) == "allowed"
    now.advance(hours=24, seconds=-1)
    assert branch(goes(flows[1])) == "capped"
    now.advance(seconds=2)
    assert branch(goes(flows[2])) == "allowed"

    assert Delivery.objects.filter(participant_id="ada").count() == 2
    assert not CapSlot.objects.exists()
    assert_all_sound()


def test_two_flows_in_one_batch_cannot_both_pass(flow_with: Flows) -> None:
    flows = [flow_with(capped(ONE)) for _ in range(4)]
    for flow in flows:
        triggers.start(flow, "ada")
        triggers.start(flow, "bob")

    run_until_idle()

    taken = [run.context["outcomes"]["cap"] for run in FlowInstance.objects.filter(participant_id="ada")]
    assert sorted(taken) == ["allowed", "capped", "capped", "capped"]
    assert Delivery.objects.count() == 2


def test_a_cap_counts_its_channel_or_all_and_its_flow_or_everyones(flow_with: Flows) -> None:
    goes(flow_with(capped({"channel": "sms"}, "send_sms")))

    asked = {
        "email": {"channel": "email"},
        "all": {"channel": "all"},
        "own": {"channel": "all", "scope": "flow"},
        "two": {"channel": "all", "max_messages": 2},
    }
    taken = {name: branch(goes(flow_with(capped(cap, pause="1h")))) for name, cap in asked.items()}

    # The first has reserved a slot, so that the last finds two.
    assert taken == {"email": "allowed", "all": "capped", "own": "allowed", "two": "capped"}


def test_a_flow_may_count_only_what_it_sends_itself(flow_with: Flows, now: Any) -> None:
    mine = flow_with(capped({"scope": "flow", "max_messages": 1, "time_window": "2d"}), reentry="always")
    goes(flow_with(capped({})))

    assert [branch(goes(mine)), branch(goes(mine))] == ["allowed", "capped"]
    now.advance(days=2, seconds=1)
    assert branch(goes(mine)) == "allowed"


def test_a_slot_counts_before_its_message_is_queued_and_is_used_up_by_it(flow_with: Flows, now: Any) -> None:
    slow = goes(flow_with(capped(ONE, pause="1h")))
    slot = CapSlot.objects.get()
    assert (slot.instance_id, slot.node_id, slot.channel) == (slow.id, "cap", "email")

    assert branch(goes(flow_with(capped(ONE)))) == "capped"
    now.advance(hours=1)
    timers.wake_due()
    run_until_idle()

    assert not CapSlot.objects.exists()
    delivery = Delivery.objects.get()
    assert (delivery.reserved_at, delivery.counted_at) == (slot.reserved_at, now())


def test_a_slot_is_free_when_its_run_ends(flow_with: Flows) -> None:
    slow = goes(flow_with(capped(ONE, pause="1h")))

    operations.cancel(slow.instance)

    assert branch(goes(flow_with(capped(ONE)))) == "allowed"


def test_a_slot_is_free_after_a_day(flow_with: Flows, now: Any) -> None:
    goes(flow_with(capped(ONE, pause="3d")))

    now.advance(hours=24, seconds=1)

    assert branch(goes(flow_with(capped(ONE)))) == "allowed"
    caps.forget_slots()
    assert CapSlot.objects.count() == 0


def test_a_message_that_never_went_out_frees_its_place(flow_with: Flows) -> None:
    goes(flow_with(capped(ONE)))

    Delivery.objects.update(status="skipped", counted_at=None)

    assert branch(goes(flow_with(capped(ONE)))) == "allowed"


def test_caps_one_after_the_other_let_one_message_through_together(flow_with: Flows) -> None:
    nodes = capped(ONE) | {
        "cap": ("frequency_cap", ONE, {"allowed": "wide", "capped": "left_out"}),
        "wide": ("frequency_cap", {"channel": "all", "max_messages": 1}, {"allowed": "pause", "capped": "left_out"}),
        "pause": ("wait", {"duration": "1h"}, {None: "again"}),
        "again": ("frequency_cap", ONE, {"allowed": "long", "capped": "left_out"}),
        "long": ("wait", {"duration": "1h"}, {None: "send"}),
    }

    ada = goes(flow_with(nodes))
    assert [branch(ada), branch(ada, "wide")] == ["allowed", "allowed"]
    # The narrower of two is what the message will be.
    assert list(CapSlot.objects.values_list("node_id", "channel")) == [("wide", "email")]
    assert branch(goes(flow_with(capped({"channel": "sms"}, "send_sms")))) == "allowed"


def test_parallel_branches_do_not_share_a_place(flow_with: Flows) -> None:
    nodes = capped(ONE) | {
        "entry": (*ENTRY, {None: ["cap", "cap2"]}),
        "cap2": ("frequency_cap", ONE, {"allowed": "send2", "capped": "left_out2"}),
        "send2": ("send_email", HELLO, {None: "done2"}),
        "done2": ("wait", {"duration": "1d"}, {None: "done"}),
        "left_out2": ("wait", {"duration": "1d"}, {None: "done"}),
    }
    nodes["left_out"] = ("wait", {"duration": "1d"}, {None: "done"})

    ada = goes(flow_with(nodes))

    assert sorted([branch(ada), branch(ada, "cap2")]) == ["allowed", "capped"]
    assert Delivery.objects.count() == 1


def test_a_cap_after_a_message_of_the_same_run_counts_it(flow_with: Flows) -> None:
    nodes = capped(ONE) | {
        "send": ("send_email", HELLO, {None: "cap2"}),
        "cap2": ("frequency_cap", ONE, {"allowed": "send2", "capped": "left_out"}),
        "send2": ("send_email", HELLO, {None: "done"}),
    }
    nodes.pop("after")

    ada = goes(flow_with(nodes))

    assert [branch(ada), branch(ada, "cap2")] == ["allowed", "capped"]


def test_another_tenants_messages_count_for_nobody_else(flow_with: Flows, flow_of: Flows, other_tenant: Tenant) -> None:
    flow = flow_with(capped(ONE))
    goes(flow)
    Delivery.objects.update(tenant=other_tenant)

    assert branch(goes(flow_with(capped(ONE)))) == "allowed"


def test_a_batch_asks_as_often_for_many_as_for_a_few(flow_with: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    flow, asked = flow_with(capped(ONE)), list[str]()
    execute = connections.Cursor.execute

    def note(cursor: Any, statement: Any, *rest: Any, **more: Any) -> Any:
        if "cap_slots" in statement or "deliveries" in statement or "'cap:'" in statement:
            asked.append(statement)
        return execute(cursor, statement, *rest, **more)

    monkeypatch.setattr(connections.Cursor, "execute", note)
    counts = []
    for first, last in ((0, 10), (10, 70)):
        triggers.start_many(flow, [f"p{i}" for i in range(first, last)])
        asked.clear()
        run_until_idle()
        counts.append(len(asked))

    assert Delivery.objects.count() == 70
    assert FlowInstance.objects.filter(status="waiting").count() == 70
    assert counts[0] == counts[1]
    assert sum("cap_slots" in each for each in asked) == 4
