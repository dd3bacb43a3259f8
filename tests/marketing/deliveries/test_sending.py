"""A message from its step to its provider."""

from __future__ import annotations

import pytest

from engine import event_router, inbox
from marketing.channels.provider import Permanent
from marketing.models import Delivery, PushToken
from tests.marketing.deliveries.conftest import hand_over, only, send, statuses
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle


def line(*sends, **settings):
    nodes = {"entry": (*ENTRY, {None: "s0"})}
    for place, each in enumerate(sends):
        following = f"s{place + 1}" if place + 1 < len(sends) else "done"
        nodes[f"s{place}"] = (*each, {None: following})
    return graph(nodes | {"done": ("exit", {"reason": "through"})}, **settings)


def test_a_message_is_queued_with_its_step_and_sent_by_a_worker(passage, customer, post):
    customer(email="ada@example.com", name="Ada")

    ada = passage(line(send()))
    ada.start()
    assert ada.instance.error is None
    assert (ada.status, only().status, post.sent) == ("completed", "queued", [])
    hand_over()

    (message,) = post.sent
    delivery = only()
    assert (message.recipient, message.parts["text"]) == ("ada@example.com", "Hello Ada")
    assert message.key == f"{ada.id}:s0:1"
    assert "List-Unsubscribe" in message.headers
    assert (delivery.status, delivery.provider_message_id) == ("sent", f"post-{delivery.id}")
    assert (delivery.rendered["subject"], delivery.recipient) == ("Hi", "ada@example.com")
    assert statuses() == ["queued", "claimed", "sent"]
    assert ada.results["s0"]["delivery_id"] == str(delivery.id)


def test_each_channel_has_its_own_address(passage, customer, post, tenant, now):
    ada = customer(phone="+4930123456")
    PushToken.objects.create(tenant=tenant, customer=ada, token="t-1", created_at=now())
    PushToken.objects.create(tenant=tenant, customer=ada, token="t-2", created_at=now())

    passage(line(send("send_sms"), send("send_push", deep_link="app://cart"), send("send_in_app"))).start()
    hand_over()

    assert {(each.channel, each.recipient) for each in post.sent} == {
        ("sms", "+4930123456"), ("push", "t-1"), ("push", "t-2"),
    }  # fmt: skip
    assert {each.parts.get("deep_link") for each in post.sent if each.channel == "push"} == {"app://cart"}
    assert {each.channel: each.status for each in Delivery.objects.all()} == {
        "sms": "sent", "push": "sent", "in_app": "sent",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "config", "status", "reason"),
    [
        ({}, {}, "skipped", "no_address"),
        ({"email": "nobody"}, {}, "failed", "invalid_address"),
        ({"email": "a@b.de", "preferences": {"email": {"*": False}}}, {}, "skipped", "unsubscribed"),
        ({"email": "a@b.de"}, {"content": {"subject": "{{ vars.x }}", "text": "b"}, "vars": {"x": {"ref": "entry.x"}}},
         "failed", "template_missing:vars.x"),
        ({"email": "a@b.de", "state": "deleting"}, {}, "cancelled", "participant_deleted"),
    ],
)  # fmt: skip
def test_what_is_not_sent_says_why(passage, customer, post, facts, config, status, reason):
    customer(**facts)

    passage(line(send(**config))).start()
    hand_over()

    assert (only().status, only().reason, post.sent) == (status, reason, [])
    assert only().counted_at is None


def test_a_transactional_message_passes_preferences(passage, customer, post):
    customer(email="a@b.de", preferences={"email": {"*": False}})

    passage(line(send(message_class="transactional"))).start()
    hand_over()

    assert only().status == "sent"
    assert post.sent[0].headers == {}


def test_a_participant_without_a_profile_is_skipped(passage, post):
    passage(line(send())).start()
    hand_over()

    assert (only().status, only().reason) == ("skipped", "no_address")


def test_the_live_state_is_read_by_what_follows(passage, customer, post):
    customer(email="a@b.de")
    post.answer = lambda message: Permanent("mailbox_unknown", "There is no such mailbox.")
    nodes = {
        "entry": (*ENTRY, {None: "mail"}),
        "mail": (*send(), {None: "rest"}),
        "rest": ("wait_for_event", {"event_type": "go"}, {"event_received": "ask", "timed_out": "no"}),
        "ask": ("condition", {"path": "nodes.mail.delivery.state", "op": "eq", "value": "failed"},
                {"true": "yes", "false": "no"}),
        "yes": ("exit", {}),
        "no": ("exit", {}),
    }  # fmt: skip
    ada = passage(graph(nodes)).start()
    hand_over()

    go(ada)

    assert ada.path[-1] == "yes"
    assert (only().reason, only().history[-1]["detail"]) == (
        "provider_permanent", "mailbox_unknown: There is no such mailbox.",
    )  # fmt: skip


def go(ada, event_type="go", **data):
    inbox.publish_event(ada.participant_id, event_type, data=data, tenant=ada.flow.tenant_id)
    event_router.route(slice_s=5.0)
    run_until_idle()


def test_the_timeline_says_what_became_of_a_message(passage, customer, post, api, agree):
    customer(email="a@b.de", preferences={"email": {"*": False}})
    run = passage(line(send(), send("send_in_app"))).start()
    hand_over()

    told = agree(api, "get", "/api/v1/instances/{instance_id}/timeline", instance_id=str(run.id)).json()["results"]

    by_node = {each["node_id"]: (each["kind"], each["detail"]) for each in told if each["kind"] in ("skip", "send")}
    assert by_node["s0"] == ("skip", "The message is skipped. Reason: unsubscribed. Went on to “s1”.")
    assert by_node["s1"] == ("send", "The message is sent. Went on to “done”.")


def test_the_words_of_a_node_are_kept_once_and_not_with_each_message(passage, customer, post, api):
    customer(email="nobody", locale="de-AT")
    german = {"de": {"subject": "Hallo"}}
    passage(line(send(locales=german))).start()
    assert {"content", "locales"}.isdisjoint(only().payload)
    hand_over()

    customer("bob", email="bob@b.de", locale="de")
    Delivery.objects.update(participant_id="bob")
    api.post(f"/api/v1/deliveries/{only().pk}/resend", {})
    hand_over()

    assert [each.parts["subject"] for each in post.sent] == ["Hallo"]
