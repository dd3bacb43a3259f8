"""Messages that wait: for quiet hours, for a pause, for their turn; and messages that are taken back meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine import operations
from engine.models import Activity
from flows import lifecycle
from marketing.channels import accounts
from marketing.channels.provider import Transient
from marketing.customers import erasure
from marketing.deliveries import resting
from marketing.deliveries.suppressions import New, suppress_many
from marketing.models import Channel, Delivery
from tests.marketing.deliveries.conftest import hand_over, make_due, only, open_channel, send
from tests.marketing.deliveries.test_sending import go, line
from tests.support.graphs import ENTRY, graph

QUIET = {"from": "21:00", "to": "08:00"}


def waiting(*sends):
    """Messages, and then a wait for an event."""
    nodes = {"entry": (*ENTRY, {None: "s0"})}
    for place, each in enumerate(sends):
        nodes[f"s{place}"] = (*each, {None: f"s{place + 1}" if place + 1 < len(sends) else "rest"})
    nodes["rest"] = ("wait_for_event", {"event_type": "go"}, {"event_received": "done", "timed_out": "done"})
    return nodes | {"done": ("exit", {})}


@pytest.fixture
def ada(customer):
    return customer(email="a@b.de", timezone="Europe/Berlin")


def test_a_message_rests_in_quiet_hours_and_goes_out_when_they_end(passage, ada, post, now):
    now.move_to(datetime(2030, 1, 1, 21, 30, tzinfo=UTC))
    passage(line(send(), quiet_hours=QUIET)).start()
    hand_over()
    assert (only().status, only().due_at) == ("queued", datetime(2030, 1, 2, 7, 0, tzinfo=UTC))

    now.move_to(datetime(2030, 1, 2, 6, 59, tzinfo=UTC))
    assert not resting.is_due()
    now.move_to(datetime(2030, 1, 2, 7, 0, tzinfo=UTC))
    assert resting.is_due()
    assert resting.run(1.0) == 1
    hand_over()

    assert (only().status, only().due_at, len(post.sent)) == ("sent", None, 1)


def test_a_transactional_message_does_not_rest(passage, ada, post, now):
    now.move_to(datetime(2030, 1, 1, 21, 30, tzinfo=UTC))

    passage(line(send(message_class="transactional"), quiet_hours=QUIET)).start()
    hand_over()

    assert only().status == "sent"


def test_whoever_would_not_have_it_late_is_not_written_to(passage, ada, post, now):
    now.move_to(datetime(2030, 1, 1, 21, 30, tzinfo=UTC))

    passage(line(send(expires_in="1h"), quiet_hours=QUIET)).start()
    hand_over()

    assert (only().status, only().reason) == ("skipped", "expired")


def test_after_a_rest_everything_is_asked_again(passage, ada, post, now, tenant):
    now.move_to(datetime(2030, 1, 1, 21, 30, tzinfo=UTC))
    passage(line(send(), quiet_hours=QUIET)).start()
    hand_over()
    suppress_many(tenant.pk, [New("email", "A@b.de", "manual")])

    now.move_to(datetime(2030, 1, 2, 7, 0, tzinfo=UTC))
    resting.run(1.0)
    hand_over()

    assert (only().status, only().reason, post.sent) == ("skipped", "suppressed", [])


def test_an_expired_message_is_dropped(passage, ada, post, now):
    passage(line(send(expires_in="1h"))).start()
    now.advance(hours=1)
    hand_over()

    assert (only().status, only().reason) == ("skipped", "expired")


def test_a_newer_message_takes_the_place_of_one_that_is_queued(passage, ada, post):
    same = {"collapse_key": "cart"}

    passage(line(send(**same), send(collapse_key="other"), send(**same))).start()
    hand_over()

    found = {each.node_id: (each.status, each.reason) for each in Delivery.objects.all()}
    assert found == {"s0": ("skipped", "collapsed"), "s1": ("sent", ""), "s2": ("sent", "")}
    assert len(post.sent) == 2


def test_an_end_from_outside_takes_back_what_is_queued(passage, ada, post):
    run = passage(graph(waiting(send()))).start()
    operations.cancel(run.id)
    hand_over()

    assert (only().status, only().reason, only().counted_at, post.sent) == ("cancelled", "run_ended", None, [])


def test_an_awaited_message_is_taken_back_too(passage, ada, post):
    nodes = {
        "entry": (*ENTRY, {None: "mail"}),
        "mail": (*send(wait_for="delivered"), {None: "done"}),
        "done": ("exit", {}),
    }
    run = passage(graph(nodes)).start()
    assert run.waiting_at == ["mail"]

    operations.cancel(run.id)

    assert only().status == "cancelled"


def test_exit_criteria_take_back_what_is_about_to_be_tried_again(passage, ada, post):
    post.answer = lambda message: Transient("busy")
    run = passage(graph(waiting(send()), exit_criteria={"on_event": ["left"]})).start()
    hand_over()
    assert only().status == "claimed"

    go(run, "left")
    make_due()
    hand_over()

    assert (run.instance.exit_reason, only().status, len(post.sent)) == ("exit_criteria", "cancelled", 1)


def test_what_an_end_node_leaves_behind_is_still_sent(passage, ada, post):
    run = passage(line(send())).start()
    assert run.status == "completed"
    hand_over()

    assert only().status == "sent"


def test_a_paused_run_holds_its_messages(passage, ada, post):
    run = passage(graph(waiting(send()))).start()
    operations.pause(run.id)
    hand_over()
    assert (only().status, post.sent) == ("queued", [])

    operations.resume(run.id)
    make_due()
    hand_over()

    assert only().status == "sent"


def test_a_paused_flow_holds_its_messages(passage, ada, post):
    run = passage(graph(waiting(send()))).start()
    flow = lifecycle.pause(run.flow)
    hand_over()
    assert (only().status, post.sent) == ("queued", [])

    lifecycle.resume(flow)
    hand_over()

    assert only().status == "sent"


def test_an_erased_participants_message_goes_nowhere(passage, ada, post, tenant):
    passage(line(send())).start()
    erasure.request(tenant, "ada")
    while erasure.erase_one():
        pass
    hand_over()

    assert (only().status, post.sent) == ("cancelled", [])


def test_a_rate_lets_through_what_it_can_and_the_rest_comes_later(passage, ada, post, tenant, now):
    open_channel(tenant, "email", "post", now(), rate_per_second=1)

    passage(line(send(), send(), send())).start()
    hand_over()

    assert sorted(each.status for each in Delivery.objects.all()) == ["queued", "queued", "sent"]
    pending = Activity.objects.get(status="pending")
    assert (len(pending.input["ids"]), pending.input["put_off"]) == (2, 1)

    # Held back again, they come back more rarely.
    make_due()
    hand_over()
    assert Activity.objects.get(status="pending").input["put_off"] == 2


def test_without_a_channel_and_a_provider_for_that_nothing_is_sent(passage, ada, post, tenant, settings):
    settings.KALCIFER_DEFAULT_PROVIDER = "none"
    flow = line(send())
    run = passage(flow)
    Channel.objects.all().delete()
    accounts.forget()
    run.start()
    hand_over()

    assert (only().status, only().reason) == ("skipped", "no_provider")
