"""A click on a link in a message is an event like any other: flows wait for it."""

from __future__ import annotations

import pytest
from django.test import Client

from engine import event_router
from marketing.links import addresses, tokens
from marketing.links.tokens import Purpose, Ticket
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle

ASK_AGAIN = graph(
    {
        "entry": (*ENTRY, {None: "answer"}),
        "answer": (
            "wait_for_event",
            {
                "event_type": "consent_confirmed",
                "filter": {"path": "event.topic", "op": "eq", "value": "newsletter"},
                "timeout": "10d",
            },
            {"event_received": "kept", "timed_out": "left"},
        ),
        "kept": ("exit", {"reason": "confirmed"}),
        "left": ("exit", {"reason": "silent"}),
    }
)


@pytest.mark.parametrize(("topic", "reached"), [("newsletter", "kept"), ("offers", None)])
def test_whoever_confirms_is_kept(passage, tenant, customer, topic, reached):
    customer("ada")
    ada = passage(ASK_AGAIN).start()
    ticket = Ticket(Purpose.CONFIRM, str(tenant.pk), "ada", "email", topic)

    Client().post(addresses.path_of(tokens.sign(ticket)))
    event_router.route()
    run_until_idle()

    assert ada.path[-1] == (reached or "entry")
