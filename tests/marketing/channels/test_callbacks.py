"""Callbacks over HTTP: no key, the right signature, and never an error of ours."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from rest_framework.test import APIClient

from engine import signatures
from engine.models import InboundEvent
from marketing.channels.providers.twilio import signature
from marketing.models import Delivery
from tests.engine.api.conftest import codes
from tests.marketing.channels.test_esps import KEY, PUBLIC, ec, signed

SECRET = "a secret of sixteen"
SID = "AC" + "1" * 32
TWILIO = {"channel": "sms", "config": {"account_sid": SID, "from_number": "+1"}, "credentials": {"auth_token": "tok"}}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def world() -> APIClient:
    """Somebody without a key."""
    return APIClient(raise_request_exception=False)


def report(world, channel, body, secret=SECRET):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = signatures.sign("standard", secret, raw, message_id="1", now=datetime.now(UTC))
    return world.post(f"/api/v1/webhooks/providers/{channel.pk}", raw, content_type="application/json", headers=headers)


def from_sendgrid(world, events, key=KEY):
    call = signed(events, key)
    return world.post("/api/v1/webhooks/sendgrid", call.body, content_type="application/json", headers=call.headers)


def from_twilio(world, path="/api/v1/webhooks/twilio", token="tok", **fields):
    said = {"MessageSid": "m-0", "MessageStatus": "delivered", "AccountSid": SID, **fields}
    headers = {"X-Twilio-Signature": signature(token, f"http://testserver{path}", said)}
    return world.post(path, urlencode(said), content_type=FORM, headers=headers)


def test_a_signed_report_is_recorded_once(world, channel_of, delivery_of, schema):
    channel = channel_of("log", credentials={"callback_secret": SECRET})
    delivery = delivery_of(provider="log")
    said = {"delivery_id": str(delivery.pk), "status": "opened"}

    first, second = report(world, channel, said), report(world, channel, [said])

    assert (first.status_code, first.json(), second.json()) == (200, {"recorded": 1}, {"recorded": 0})
    assert Delivery.objects.get().status == "opened"
    assert InboundEvent.objects.get().event_type == "email_opened"


def test_unknown_messages_are_fine_and_other_things_are_not(world, channel_of):
    channel = channel_of("log", credentials={"callback_secret": SECRET})
    silent = channel_of("log", "sms")

    assert report(world, channel, {"message_id": "nobody's", "status": "opened"}).status_code == 200
    assert codes(report(world, channel, {"status": "opened"})) == ["wrong_shape"]
    assert codes(report(world, channel, b"{")) == ["wrong_shape"]
    wrong = report(world, channel, [], "another secret of it")
    assert (wrong.status_code, codes(wrong)) == (401, ["invalid_signature"])
    assert report(world, silent, []).status_code == 401
    for nowhere in ("x", "00000000-0000-0000-0000-000000000000", "%00"):
        assert world.post(f"/api/v1/webhooks/providers/{nowhere}", {}, format="json").status_code in {400, 404}
    assert world.get(f"/api/v1/webhooks/providers/{channel.pk}").status_code == 405


def test_a_channel_reports_of_its_own_tenants_messages_only(world, channel_of, delivery_of, other_tenant):
    theirs = channel_of("log", of=other_tenant, credentials={"callback_secret": SECRET})
    mine = delivery_of(provider="log")

    answer = report(world, theirs, {"delivery_id": str(mine.pk), "status": "bounced", "hard": True})

    assert answer.json() == {"recorded": 0}
    assert Delivery.objects.get().status == "sent"


def test_sendgrids_events_find_their_tenant_by_the_signature(world, channel_of, delivery_of, other_tenant):
    key = {"credentials": {"api_key": "SG"}}
    channel_of("sendgrid", config={"from_email": "a@b.c", "verification_key": PUBLIC}, **key)
    channel_of("sendgrid", of=other_tenant, config={"from_email": "a@b.c"}, **key)
    mine, theirs = delivery_of(), delivery_of(of=other_tenant)
    common = {"event": "delivered", "email": "ada@example.com", "timestamp": 1}

    ours = [{**common, "delivery_id": str(mine.pk)}, {**common, "delivery_id": str(theirs.pk)}]
    assert from_sendgrid(world, ours).json() == {"recorded": 1}
    assert from_sendgrid(world, [{**common, "anymail_id": "m-0", "event": "open"}]).json() == {"recorded": 1}
    assert from_sendgrid(world, [{**common, "anymail_id": "unknown"}]).json() == {"recorded": 0}

    assert [each.status for each in Delivery.objects.order_by("id")] == ["opened", "sent"]
    stranger = ec.generate_private_key(ec.SECP256R1())
    assert from_sendgrid(world, ours, stranger).status_code == 401
    for body in ("{}", "no", "[1]"):
        answer = world.post("/api/v1/webhooks/sendgrid", body, content_type="application/json")
        assert codes(answer) == ["wrong_shape"]


def test_twilios_callbacks_find_their_tenant_by_account_and_token(world, channel_of, delivery_of, other_tenant):
    channel = channel_of("twilio", **TWILIO)
    channel_of("twilio", of=other_tenant, **{**TWILIO, "credentials": {"auth_token": "theirs"}})
    mine = delivery_of(provider="twilio", channel="sms", recipient="+49")
    theirs = delivery_of(provider="twilio", channel="sms", of=other_tenant, provider_message_id="m-0")

    assert from_twilio(world).json() == {"recorded": 1}
    own_address = f"/api/v1/webhooks/providers/{channel.pk}?delivery_id={mine.pk}"
    assert from_twilio(world, own_address, MessageStatus="read", MessageSid="new").json() == {"recorded": 1}

    mine.refresh_from_db(), theirs.refresh_from_db()
    assert (mine.status, theirs.status) == ("opened", "sent")
    assert from_twilio(world, token="wrong").status_code == 401
    assert from_twilio(world, AccountSid="AC" + "2" * 32).status_code == 401
    garbage = world.post("/api/v1/webhooks/twilio", b"\xff\xfe", content_type=FORM)
    assert codes(garbage) == ["wrong_shape"]


def test_an_answer_is_what_the_schema_says(world, channel_of, agree):
    channel = channel_of("log", credentials={"callback_secret": SECRET})

    assert (
        agree(world, "post", "/api/v1/webhooks/providers/{channel_id}", {}, channel_id=str(channel.pk)).status_code
        == 401
    )
    assert agree(world, "post", "/api/v1/webhooks/sendgrid", []).status_code == 401
