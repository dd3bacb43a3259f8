"""From a message to what its reader did, with nothing in between but the provider."""

from __future__ import annotations

import pytest

from engine import event_router
from marketing.models import Delivery
from tests.marketing.channels.conftest import Answer
from tests.marketing.channels.test_callbacks import from_sendgrid, world
from tests.marketing.channels.test_esps import PUBLIC
from tests.marketing.deliveries.conftest import hand_over, only, send
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle

__all__ = ["world"]

OPENED = graph(
    {
        "entry": (*ENTRY, {None: "mail"}),
        "mail": (*send(), {None: "opened"}),
        "opened": (
            "wait_for_event",
            {"event_type": "email_opened", "timeout": "3d", "lookback": "since_previous_node"},
            {"event_received": "yes", "timed_out": "no"},
        ),
        "yes": ("exit", {"reason": "opened"}),
        "no": ("exit", {"reason": "silent"}),
    }
)


@pytest.fixture
def sendgrid(service, channel_of):
    service.says(Answer(202, b""))
    config = {"from_email": "us@example.com", "verification_key": PUBLIC, "api_url": service.url}
    return channel_of("sendgrid", config=config, credentials={"api_key": "SG"})


def test_a_flow_waits_for_an_opened_mail_with_no_glue(passage, customer, sendgrid, service, world):
    customer(email="ada@example.com")
    ada = passage(OPENED)
    ada.start()
    hand_over()
    args = service.asked[0].json["personalizations"][0]["custom_args"]
    assert ada.status == "waiting"

    event = {"event": "open", "email": "ada@example.com", "timestamp": 1_767_225_600, **args}
    assert from_sendgrid(world, [{**event, "event": "delivered"}, event, event]).json() == {"recorded": 2}
    event_router.route(slice_s=5.0)
    run_until_idle()

    assert (ada.status, ada.instance.exit_reason) == ("completed", "opened")
    assert [entry["status"] for entry in only().history] == ["queued", "claimed", "sent", "delivered", "opened"]


def test_a_mail_that_bounced_hard_is_the_last_one_to_that_address(passage, customer, sendgrid, service, world):
    customer("ada", email="ada@example.com")
    customer("twin", email="ADA@example.com")
    ada, twin = passage(OPENED, "ada"), passage(OPENED, "twin")
    ada.start()
    hand_over()
    args = service.asked[0].json["personalizations"][0]["custom_args"]
    from_sendgrid(world, [{"event": "bounce", "type": "bounce", "timestamp": 1_767_225_600, **args}])

    twin.start()
    hand_over()

    assert len(service.asked) == 1
    assert {(each.participant_id, each.status, each.reason) for each in Delivery.objects.all()} == {
        ("ada", "bounced", "hard_bounce"), ("twin", "skipped", "suppressed"),
    }  # fmt: skip
