"""Deliveries and the in-app inbox, as clients see them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.models import InboundEvent
from marketing.channels.provider import Permanent
from marketing.customers import erasure, merging
from marketing.models import Delivery
from tests.engine.api.conftest import codes
from tests.marketing.deliveries.conftest import hand_over, only, send
from tests.marketing.deliveries.test_awaited import awaited, heard
from tests.marketing.deliveries.test_sending import line

LIST, ONE, RESEND = "/api/v1/deliveries", "/api/v1/deliveries/{delivery_id}", "/api/v1/deliveries/{delivery_id}/resend"
INBOX = "/api/v1/customers/{external_id}/inbox"


@pytest.fixture
def ada(customer):
    return customer(email="ada@example.com", phone="+4930123456")


@pytest.fixture
def failed(passage, ada, post):
    post.answer = lambda message: Permanent("rejected", "No.")
    passage(line(send())).start()
    hand_over()
    post.answer = type(post)().answer
    return only()


def test_a_delivery_is_shown_with_its_words_and_its_history(passage, ada, post, api, agree):
    run = passage(line(send())).start()
    hand_over()

    found = agree(api, "get", ONE, delivery_id=str(only().id)).json()

    assert (found["status"], found["recipient"], found["rendered"]["subject"]) == ("sent", "ada@example.com", "Hi")
    assert [entry["status"] for entry in found["history"]] == ["queued", "claimed", "sent"]
    assert (found["instance_id"], found["node_id"], found["channel"], found["provider"]) == (
        str(run.id), "s0", "email", "post",
    )  # fmt: skip


def test_deliveries_are_listed_by_what_one_looks_for(passage, ada, post, api, agree, now):
    run = passage(line(send(), send("send_sms"), send("send_in_app"))).start()
    passage(line(send()), "nobody").start()
    hand_over()

    def ids(query):
        return [each["id"] for each in api.get(f"{LIST}?{query}").json()["results"]]

    agree(api, "get", LIST)
    newest = [str(each.id) for each in Delivery.objects.order_by("-id")]
    assert ids("") == newest
    assert ids("status=skipped") == newest[:1]
    assert ids("status=skipped,sent&page_size=2") == newest[:2]
    assert ids("channel=sms") == [newest[2]]
    assert ids("participant_id=ada&status=sent,failed") == newest[1:]
    assert ids(f"instance_id={run.id}&node_id=s0") == newest[3:]
    assert ids(f"flow_id={run.flow.pk}") == newest[1:]


@pytest.mark.parametrize("query", ["status=lost", "channel=fax", "flow_id=7", "node_id=s0", "colour=red"])
def test_unknown_filters_are_refused(api, query):
    assert api.get(f"{LIST}?{query}").status_code == 400


def test_a_failed_message_is_sent_once_more(failed, api, agree, post):
    answer = agree(api, "post", RESEND, {}, delivery_id=str(failed.id))
    hand_over()

    again = Delivery.objects.get(pk=answer.json()["id"])
    assert (answer.status_code, again.resend_of, again.status) == (201, failed.id, "sent")
    assert len({each.key for each in post.sent}) == 2
    assert again.history[0]["detail"].startswith("Sent once more by key:")


def test_a_message_is_sent_once_more_once(failed, api):
    api.post(RESEND.format(delivery_id=failed.id), {})

    again = api.post(RESEND.format(delivery_id=failed.id), {})

    assert (again.status_code, codes(again)) == (409, ["not_resendable"])


def test_a_message_that_was_sent_is_not_sent_once_more(passage, ada, post, api):
    passage(line(send())).start()
    hand_over()

    refused = api.post(RESEND.format(delivery_id=only().id), {})

    assert (refused.status_code, codes(refused)) == (409, ["not_resendable"])


def test_an_erased_persons_message_is_not_sent_once_more(failed, api, tenant):
    erasure.request(tenant, "ada")
    while erasure.erase_one():
        pass

    assert api.post(RESEND.format(delivery_id=failed.id), {}).status_code == 409


def test_a_viewer_sends_nothing(failed, client_of, tenant):
    assert client_of(tenant, "viewer").post(RESEND.format(delivery_id=failed.id), {}).status_code == 403


def test_another_tenant_sees_none_of_it(passage, ada, post, client_of, other_tenant):
    passage(line(send("send_in_app"))).start()
    hand_over()
    stranger = client_of(other_tenant)
    key = only().id

    assert stranger.get(LIST).json()["results"] == []
    assert stranger.get(f"{LIST}?participant_id=ada").json()["results"] == []
    assert stranger.get(INBOX.format(external_id="ada")).status_code == 404
    for path, method in ((ONE, "get"), (RESEND, "post")):
        assert getattr(stranger, method)(path.format(delivery_id=key), {}).status_code == 404
    for act in ("read", "click", "dismiss"):
        assert stranger.post(f"/api/v1/inbox/{key}/{act}", {}).status_code == 404
    assert only().status == "sent"


def test_an_app_shows_reads_and_dismisses_messages(passage, ada, post, api, agree):
    run = passage(
        line(
            send("send_in_app", placement="home", content={"title": "One", "action_url": "https://example.com"}),
            send("send_in_app", content={"title": "Two"}),
        )
    ).start()
    hand_over()
    two, one = agree(api, "get", INBOX, external_id="ada").json()["results"]
    assert (one["title"], one["placement"], one["action_url"], one["status"]) == (
        "One", "home", "https://example.com", "sent",
    )  # fmt: skip

    read = agree(api, "post", "/api/v1/inbox/{delivery_id}/read", {}, delivery_id=one["id"]).json()
    again = agree(api, "post", "/api/v1/inbox/{delivery_id}/read", {}, delivery_id=one["id"]).json()
    clicked = agree(api, "post", "/api/v1/inbox/{delivery_id}/click", {}, delivery_id=one["id"]).json()
    agree(api, "post", "/api/v1/inbox/{delivery_id}/dismiss", {}, delivery_id=two["id"])
    agree(api, "post", "/api/v1/inbox/{delivery_id}/dismiss", {}, delivery_id=two["id"])

    assert (read["status"], again["read_at"], clicked["status"]) == ("opened", read["read_at"], "clicked")
    assert [each["id"] for each in api.get(INBOX.format(external_id="ada")).json()["results"]] == [one["id"]]
    assert api.get(INBOX.format(external_id="ada") + "?unread=true").json()["results"] == []
    assert len(api.get(INBOX.format(external_id="ada") + "?placement=home").json()["results"]) == 1
    assert sorted(InboundEvent.objects.values_list("event_type", flat=True)) == [
        "in_app_clicked", "in_app_dismissed", "in_app_opened",
    ]  # fmt: skip
    assert run.status == "completed"


def test_a_message_leaves_the_inbox_when_its_time_is_over(passage, ada, post, api, now):
    passage(line(send("send_in_app", expiry="7d"))).start()
    hand_over()

    now.advance(days=7)

    assert api.get(INBOX.format(external_id="ada")).json()["results"] == []
    assert only().shown_until - only().created_at == timedelta(days=7)


def test_messages_of_a_merged_profile_are_in_the_inbox_of_the_one_that_goes_on(passage, customer, post, api, tenant):
    customer("anonymous")
    passage(line(send("send_in_app")), "anonymous").start()
    hand_over()
    customer("ada")

    merging.merge(tenant, "anonymous", "ada")

    assert len(api.get(INBOX.format(external_id="ada")).json()["results"]) == 1


def test_a_message_of_another_channel_is_not_in_the_inbox(passage, ada, post, api):
    passage(line(send())).start()
    hand_over()

    assert api.get(INBOX.format(external_id="ada")).json()["results"] == []
    assert api.post(f"/api/v1/inbox/{only().id}/read", {}).status_code == 404


def test_a_run_that_waits_for_a_click_in_the_app_goes_on(passage, ada, post, api):
    nodes = awaited()
    nodes["nodes"][1] = {"id": "mail", "type": "send_in_app", "config": send("send_in_app", wait_for="clicked")[1]}
    run = passage(nodes).start()
    hand_over()
    assert run.waiting_at == ["mail"]

    api.post(f"/api/v1/inbox/{only().id}/click", {})
    heard()

    assert (run.status, run.results["mail"]["status"]) == ("completed", "clicked")
