"""What a flow of higher priority has to do is begun before what others have to do, however long that has waited."""

from __future__ import annotations

import pytest

from engine import activities
from engine.models import Activity
from marketing.deliveries import handing
from tests.marketing.deliveries.conftest import open_channel, send
from tests.marketing.deliveries.test_sending import line
from tests.support.graphs import ENTRY, graph

SETTINGS = {"low": {"priority": 10}, "usual": {}, "high": {"priority": 90}}
ORDER = ["high", "usual", "low"]


def say_all(passage):
    """A message of each flow, the least urgent first; each says whose it is."""
    for name, settings in SETTINGS.items():
        passage(line(send(content={"subject": name, "text": name}), **settings)).start()


def hand_over_in_order(post, *, at_once):
    """Hand over what is due, as a worker with one thread does; give what went out."""
    while leases := activities.take(at_once, "somebody"):
        for lease in leases:
            handing.hand_over(lease)
    return [message.parts["subject"] for message in post.sent]


@pytest.mark.parametrize("at_once", [1, 10])
def test_messages_go_out_in_the_order_of_their_flows_priorities(passage, customer, post, at_once):
    customer(email="ada@example.com")
    say_all(passage)

    assert hand_over_in_order(post, at_once=at_once) == ORDER


def test_a_narrow_gate_lets_the_more_urgent_through_first(passage, customer, post, tenant, now):
    customer(email="ada@example.com")
    open_channel(tenant, "email", "post", now(), rate_per_second=1)
    say_all(passage)

    assert hand_over_in_order(post, at_once=10)[0] == "high"


def test_side_effects_that_a_run_waits_for_have_the_rank_of_their_flow(passage):
    nodes = {
        "entry": (*ENTRY, {None: "call"}),
        "call": ("call_webhook", {"url": "https://example.com"}, {None: "done"}),
        "done": ("exit", {}),
    }
    for settings in SETTINGS.values():
        passage(graph(nodes, **settings)).start()

    assert list(Activity.objects.order_by("rank").values_list("rank", flat=True)) == [-40, 0, 40]
