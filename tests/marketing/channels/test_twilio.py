"""SMS and WhatsApp by Twilio: the documented form, the documented codes, the documented signature."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from urllib.parse import parse_qs, urlencode
from uuid import UUID

import pytest

from engine.nodes.errors import InvalidConfig
from marketing.channels.provider import Accepted, InvalidSignature, Permanent, Transient, Unknown, WrongShape
from marketing.channels.providers.twilio import signature
from tests.marketing.channels.conftest import Answer, account, callback, message

SID = "AC" + "1" * 32
CHANNEL = UUID("01890000-0000-7000-8000-00000000000a")


def twilio(url: str = "https://api.twilio.com", channel: str = "sms", **config):
    sender = {} if "messaging_service_sid" in config else {"from_number": "+15550001"}
    return account("twilio", channel, {"account_sid": SID, "api_url": url, **sender, **config}, {"auth_token": "tok"})


def send(given, **facts):
    (verdict,) = given.provider.send_many(given, [message(given.channel, "+49 (151) 234-5678", **facts)])
    return verdict


def asked_form(service):
    return {name: values[0] for name, values in parse_qs(service.asked[-1].body.decode()).items()}


def test_an_sms_is_a_form(service):
    service.says(Answer(201, {"sid": "SM1", "status": "queued"}))

    assert send(twilio(service.url)) == Accepted("SM1")

    (asked,) = service.asked
    assert asked.path == f"/2010-04-01/Accounts/{SID}/Messages.json"
    assert asked.headers["authorization"] == f"Basic {b64encode(f'{SID}:tok'.encode()).decode()}"
    assert asked_form(service) == {"To": "+491512345678", "From": "+15550001", "Body": "Hi"}


def test_whatsapp_sends_templates_and_reports_come_back_to_the_channel(service, settings):
    settings.KALCIFER_PUBLIC_URL = "https://k.example"
    given = twilio(service.url, "whatsapp", messaging_service_sid="MG" + "2" * 32)
    object.__setattr__(given, "channel_id", CHANNEL)
    service.says(Answer(201, {"sid": "SM2"}))

    send(given, options={"content_sid": "HX1", "content_variables": {"1": "Ada"}})

    assert asked_form(service) == {
        "To": "whatsapp:+491512345678",
        "MessagingServiceSid": "MG" + "2" * 32,
        "ContentSid": "HX1",
        "ContentVariables": '{"1":"Ada"}',
        "StatusCallback": f"https://k.example/api/v1/webhooks/providers/{CHANNEL}?delivery_id=d-1",
    }


@pytest.mark.parametrize(
    ("answer", "kind", "code", "dead"),
    [
        (Answer(400, {"code": 21211, "message": "Invalid To"}), Permanent, "invalid_address", True),
        (Answer(400, {"code": 21610, "message": "Unsubscribed"}), Permanent, "suppressed", True),
        (Answer(400, {"code": 21408, "message": "No permission"}), Permanent, "twilio_21408", False),
        (Answer(429, {"code": 20429}, {"Retry-After": "4"}), Transient, "rate_limited", None),
        (Answer(401, {"code": 20003, "message": "Authenticate"}), Transient, "unauthorized", None),
        (Answer(500, b"<html>"), Transient, "http_500", None),
        (Answer(hangs_up=True), Unknown, "connection_lost", None),
    ],
)
def test_the_answer_says_what_became_of_it(service, answer, kind, code, dead):
    service.says(answer)

    verdict = send(twilio(service.url))

    assert (type(verdict), verdict.code) == (kind, code)
    assert getattr(verdict, "dead_address", None) is dead
    if code == "rate_limited":
        assert verdict.retry_after == timedelta(seconds=4)


def test_the_signature_is_the_documented_one():
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    fields = {
        "CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234", "From": "+14158675309",
        "To": "+18005551212",
    }  # fmt: skip

    assert signature("12345", url, fields) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def status(token: str = "tok", url: str = "https://k.example/cb?delivery_id=d-1", **fields):
    said = {"MessageSid": "SM1", "MessageStatus": "delivered", "AccountSid": SID, **fields}
    headers = {"x-twilio-signature": signature(token, url, said)}
    return callback(
        urlencode(said).encode(), headers, "https://k.example/cb?delivery_id=d-1", query={"delivery_id": "d-1"}
    )


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"MessageStatus": "sent"}, ("sent", False)),
        ({"MessageStatus": "delivered"}, ("delivered", False)),
        ({"MessageStatus": "read"}, ("opened", False)),
        ({"MessageStatus": "undelivered", "ErrorCode": "30003"}, ("bounced", False)),
        ({"MessageStatus": "undelivered", "ErrorCode": "30005"}, ("bounced", True)),
        ({"MessageStatus": "failed", "ErrorCode": "30007"}, ("failed", False)),
    ],
)
def test_callbacks_become_reports(fields, found):
    given = twilio()

    (report,) = given.provider.read_callback(given, status(**fields))

    assert (report.status, report.hard) == found
    assert (report.message_id, report.delivery_id) == ("SM1", "d-1")


def test_what_is_still_on_its_way_is_no_news():
    given = twilio()

    assert given.provider.read_callback(given, status(MessageStatus="queued")) == []


def test_the_port_may_be_signed_or_not():
    given = twilio()

    assert given.provider.read_callback(given, status(url="https://k.example:443/cb?delivery_id=d-1"))


@pytest.mark.parametrize("call", [status("other"), status(url="https://evil.example/cb"), callback(b"MessageSid=SM1")])
def test_callbacks_need_the_signature(call):
    given = twilio()
    with pytest.raises(InvalidSignature):
        given.provider.read_callback(given, call)


@pytest.mark.parametrize("body", [b"\xff", b"a=b&c", b"a=%00"])
def test_what_is_no_form_is_refused(body):
    given = twilio()
    with pytest.raises(WrongShape):
        given.provider.read_callback(given, callback(body))


@pytest.mark.parametrize(
    "config", [{"from_number": None}, {"messaging_service_sid": "MG" + "2" * 32, "from_number": "+1"}]
)
def test_one_sender_is_needed(config):
    with pytest.raises(InvalidConfig, match="one of the two"):
        twilio(**config)
