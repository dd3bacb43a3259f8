"""A flow that wants its people in a segment, and a flow with a cap of its own: asked when a message is to go out."""

from __future__ import annotations

import pytest

from engine import timers, triggers
from marketing.models import Delivery
from marketing.segments import catalog
from tests.marketing.deliveries.conftest import hand_over, only, send
from tests.marketing.deliveries.test_sending import line
from tests.marketing.segments.test_evaluation import change, settle
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle

IS_PRO = {"path": "participant.plan", "op": "eq", "value": "pro"}


def waiting(**criteria):
    """A wait, a message, a long wait."""
    nodes = {
        "entry": (*ENTRY, {None: "wait"}),
        "wait": ("wait", {"duration": "1h"}, {None: "mail"}),
        "mail": (*send(), {None: "rest"}),
        "rest": ("wait", {"duration": "9d"}, {None: "done"}),
        "done": ("exit", {}),
    }
    return graph(nodes, exit_criteria={"on_segment_exit": "pros", **criteria})


@pytest.fixture
def ada(customer, tenant):
    made = customer(email="a@b.de", properties={"plan": "pro"})
    catalog.create(tenant, {"slug": "pros", "rule": IS_PRO})
    settle()
    return made


def an_hour_passes(now):
    now.advance(hours=1)
    timers.wake_due()
    run_until_idle()
    hand_over()


def test_whoever_stays_in_the_segment_gets_the_message(passage, ada, post, now):
    run = passage(waiting()).start()

    an_hour_passes(now)

    assert (only().status, run.status) == ("sent", "waiting")


@pytest.mark.parametrize("when", ["before_send", "immediately"])
@pytest.mark.parametrize("is_settled", [True, False])
def test_whoever_has_left_it_gets_no_message_and_the_run_ends(passage, ada, post, now, when, is_settled):
    run = passage(waiting(when=when)).start()

    change(ada, plan="free")
    if is_settled:
        settle()
    assert run.status == ("exited" if when == "immediately" and is_settled else "waiting")
    an_hour_passes(now)

    assert (run.status, run.instance.exit_reason) == ("exited", "exit_criteria")
    assert [(each.status, each.reason) for each in Delivery.objects.all()] in ([], [("cancelled", "exit_criteria")])
    assert post.sent == []


def test_a_group_of_messages_is_asked_for_each_segment_at_once(passage, ada, post, customer, now):
    flow = passage(waiting()).flow
    for place in range(6):
        change(customer(f"p{place}", email=f"p{place}@b.de"), plan="pro" if place % 2 else "free")
    triggers.start_many(flow, [f"p{place}" for place in range(6)])
    run_until_idle()

    an_hour_passes(now)

    assert sorted(message.participant_id for message in post.sent) == ["p1", "p3", "p5"]


def test_what_a_flows_cap_holds_back_is_skipped(passage, ada, post):
    passage(line(send(), send(), frequency_cap={"max_messages": 1, "time_window": "1d"})).start()

    hand_over()

    assert [(each.status, each.reason) for each in Delivery.objects.order_by("id")] == [
        ("sent", ""),
        ("skipped", "capped"),
    ]
