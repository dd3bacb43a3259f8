"""How many messages a process has in preparation at a time."""

import pytest

from engine import triggers
from engine.execution import loop
from marketing.channels.provider import Accepted
from marketing.deliveries import handing
from marketing.models import Delivery
from tests.marketing.deliveries.conftest import hand_over, send
from tests.support.graphs import ENTRY, graph


@pytest.fixture
def queued(flow_of, customer, post):
    """A message that waits to be handed over."""
    nodes = {"entry": (*ENTRY, {None: "mail"}), "mail": (*send(), {None: "done"}), "done": ("exit", {})}
    customer("ada", email="ada@example.org")
    triggers.start(flow_of(graph(nodes)), "ada")
    loop.advance(slice_s=20.0)


@pytest.fixture
def seats():
    """Take all seats of this process, and give how many there were to be had; they are given back at the end."""
    taken = []

    def take():
        had = sum(handing._desk.acquire(blocking=False) for _ in range(handing.AT_ONCE))
        taken.extend(range(had))
        return had

    yield take
    for _ in taken:
        handing._desk.release()


def test_a_group_whose_provider_is_called_holds_up_no_other(queued, post, seats):
    seen = []

    def look(message):
        seen.append(seats())
        return Accepted("yes")

    post.answer = look

    hand_over()

    assert seen == [handing.AT_ONCE]
    assert Delivery.objects.get().status == "sent"


def test_a_group_does_not_wait_for_ever_for_those_who_wait_for_somebodys_locks(queued, post, seats, monkeypatch):
    monkeypatch.setattr(handing, "TURN_WITHIN_S", 0.05)
    seats()

    hand_over()

    assert Delivery.objects.get().status == "sent"
