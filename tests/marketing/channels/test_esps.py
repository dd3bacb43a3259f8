"""SendGrid, Postmark and Mailgun: what they are asked, what their answers mean, and what their webhooks say."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import hypothesis
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from marketing.channels.provider import Accepted, InvalidSignature, Permanent, Transient, Unknown, WrongShape
from marketing.deliveries import reports
from tests.marketing.channels.conftest import Answer, account, callback, message

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
FROM = {"from_email": "us@example.com", "from_name": "Us"}
AT = 1_767_225_600
INACTIVE = (
    "You tried to send to recipient(s) that have been marked as inactive. Found inactive addresses: ada@example.com. "
    "Inactive recipients are ones that have generated a hard bounce."
)


def sendgrid(url: str = "https://api.sendgrid.com/v3/", **config: str):
    return account("sendgrid", "email", {**FROM, "api_url": url, **config}, {"api_key": "SG.secret"})


def postmark(url: str = "https://api.postmarkapp.com/", **credentials: str):
    return account("postmark", "email", {**FROM, "api_url": url}, {"server_token": "pm-token", **credentials})


def mailgun(url: str = "https://api.mailgun.net/v3", **credentials: str):
    config = {**FROM, "sender_domain": "mg.example.com", "api_url": url}
    return account("mailgun", "email", config, {"api_key": "mg-key", **credentials})


def send(given, **facts):
    (verdict,) = given.provider.send_many(given, [message(**facts)])
    return verdict


def read(given, call):
    return given.provider.read_callback(given, call)


def test_sendgrid_gets_the_mail_with_our_own_id(service):
    service.says(Answer(202, b""))
    headers = {"List-Unsubscribe": "<https://k/u/t>"}

    verdict = send(sendgrid(service.url), headers=headers, options={"tags": ["welcome"]})

    (asked,) = service.asked
    assert asked.path == "/mail/send"
    assert asked.headers["authorization"] == "Bearer SG.secret"
    (personal,) = asked.json["personalizations"]
    assert personal["to"] == [{"email": "ada@example.com"}]
    assert verdict == Accepted(personal["custom_args"]["anymail_id"])
    assert {**asked.json["custom_args"], **personal["custom_args"]}["delivery_id"] == "d-1"
    assert asked.json["headers"] == headers
    assert asked.json["categories"] == ["welcome"]
    assert {part["type"] for part in asked.json["content"]} == {"text/plain", "text/html"}


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Answer(429, headers={"Retry-After": "5"}), Transient, "rate_limited"),
        (Answer(503), Transient, "http_503"),
        (Answer(401, {"errors": [{"message": "bad key"}]}), Transient, "unauthorized"),
        (Answer(400, {"errors": [{"field": "personalizations.0.to.0.email"}]}), Permanent, "invalid_address"),
        (Answer(400, {"errors": [{"field": "subject"}]}), Permanent, "http_400"),
        (Answer(hangs_up=True), Unknown, "connection_lost"),
    ],
)
def test_sendgrids_answer_says_what_became_of_it(service, answer, kind, code):
    service.says(answer)

    verdict = send(sendgrid(service.url))

    assert (type(verdict), verdict.code) == (kind, code)
    assert "SG.secret" not in verdict.detail
    assert len(service.asked) == 1
    if code == "rate_limited":
        assert verdict.retry_after == timedelta(seconds=5)


def signed(events, key=KEY):
    body, timestamp = json.dumps(events).encode(), "1767225600"
    signature = b64encode(key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    names = ("x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp")
    return callback(body, dict(zip(names, (signature, timestamp), strict=True)))


def test_sendgrids_events_become_reports():
    common = {"email": "ada@example.com", "timestamp": AT, "anymail_id": "m-1", "delivery_id": "d-1"}
    events = [
        {**common, "event": "processed"},
        {**common, "event": "delivered", "response": "250 OK"},
        {**common, "event": "open"},
        {**common, "event": "click", "url": "https://example.com/x"},
        {**common, "event": "bounce", "type": "bounce", "reason": "550 gone"},
        {**common, "event": "bounce", "type": "blocked", "reason": "421 busy"},
        {**common, "event": "dropped", "reason": "Invalid"},
        {**common, "event": "spamreport"},
        {**common, "event": "unsubscribe"},
        {**common, "event": "something new"},
    ]

    found = read(sendgrid(verification_key=PUBLIC), signed(events))

    assert [(each.status, each.hard) for each in found] == [
        ("delivered", False), ("opened", False), ("clicked", False), ("bounced", True), ("bounced", False),
        ("failed", True), ("complained", False), ("unsubscribed", False),
    ]  # fmt: skip
    assert {(each.message_id, each.delivery_id, each.at) for each in found} == {
        ("m-1", "d-1", datetime.fromtimestamp(AT, UTC))
    }
    assert found[2].data == {"url": "https://example.com/x"}
    assert found[3].detail == "550 gone"


@pytest.mark.parametrize("key", [PUBLIC, "", "bm8ga2V5"])
def test_sendgrids_events_need_its_signature(key):
    mine = sendgrid(**({"verification_key": key} if key else {}))
    for call in (signed([], ec.generate_private_key(ec.SECP256R1())), callback([])):
        with pytest.raises(InvalidSignature):
            read(mine, call)


@pytest.mark.parametrize(
    "body", [b"", b"no", b'{"a": 1}', b"[1]", b'[{"event": []}]', b'[{"no": "event"}]', b'["\\u0000"]']
)
def test_what_sendgrid_does_not_write_is_refused(body):
    timestamp = b"1767225600"
    signature = b64encode(KEY.sign(timestamp + body, ec.ECDSA(hashes.SHA256()))).decode()
    headers = {
        "x-twilio-email-event-webhook-signature": signature,
        "x-twilio-email-event-webhook-timestamp": timestamp.decode(),
    }
    with pytest.raises(WrongShape):
        read(sendgrid(verification_key=PUBLIC), callback(body, headers))


def test_postmark_gets_the_mail_and_names_it(service):
    service.says(Answer(200, {"ErrorCode": 0, "Message": "OK", "MessageID": "pm-1", "To": "ada@example.com"}))

    assert send(postmark(service.url)) == Accepted("pm-1")

    (asked,) = service.asked
    assert asked.headers["x-postmark-server-token"] == "pm-token"
    assert asked.json["Metadata"] == {"delivery_id": "d-1"}


@pytest.mark.parametrize(
    ("error_code", "words", "verdict"),
    [
        (406, INACTIVE, ("suppressed", True)),
        (300, "Invalid 'To' address: 'ada@'.", ("invalid_address", True)),
    ],
)  # fmt: skip
def test_postmark_says_that_an_address_is_dead(service, error_code, words, verdict):
    service.says(Answer(422, {"ErrorCode": error_code, "Message": words}))

    found = send(postmark(service.url))

    assert isinstance(found, Permanent)
    assert (found.code, found.dead_address) == verdict


def test_postmarks_webhooks_come_with_a_login():
    mine = postmark(webhook_secret="pm:hook")
    bounce = {
        "RecordType": "Bounce", "Type": "HardBounce", "MessageID": "pm-1", "Email": "ada@example.com", "ID": 4,
        "BouncedAt": "2026-01-01T00:00:00Z", "Metadata": {"delivery_id": "d-1"}, "Description": "gone",
    }  # fmt: skip
    login = {"authorization": f"Basic {b64encode(b'pm:hook').decode()}"}

    (hard,) = read(mine, callback(bounce, login))
    (soft,) = read(mine, callback({**bounce, "Type": "SoftBounce"}, login))

    assert (hard.status, hard.hard, hard.message_id, hard.delivery_id) == ("bounced", True, "pm-1", "d-1")
    assert (soft.status, soft.hard) == ("bounced", False)
    for headers in ({}, {"authorization": f"Basic {b64encode(b'pm:other').decode()}"}, {"authorization": "Basic x"}):
        with pytest.raises(InvalidSignature):
            read(mine, callback(bounce, headers))
    with pytest.raises(InvalidSignature):
        read(postmark(), callback(bounce, login))


def test_mailgun_gets_the_mail_and_names_it(service):
    service.says(Answer(200, {"id": "<mg-1@mg.example.com>", "message": "Queued. Thank you."}))

    assert send(mailgun(service.url)) == Accepted("<mg-1@mg.example.com>")

    (asked,) = service.asked
    assert asked.path == "/mg.example.com/messages"
    assert b"d-1" in asked.body


def test_mailgun_refuses_an_address(service):
    service.says(Answer(400, {"message": "'to' parameter is not a valid address. please check documentation"}))

    verdict = send(mailgun(service.url))

    assert (type(verdict), verdict.code) == (Permanent, "invalid_address")


def from_mailgun(key: str = "mg-sign", /, **event):
    token, timestamp = "t" * 50, str(AT)
    signature = hmac.new(key.encode(), f"{timestamp}{token}".encode(), "sha256").hexdigest()
    data = {
        "timestamp": AT, "recipient": "ada@example.com", "user-variables": {"delivery_id": "d-1"},
        "message": {"headers": {"message-id": "mg-1@mg.example.com"}}, **event,
    }  # fmt: skip
    return callback({"signature": {"token": token, "timestamp": timestamp, "signature": signature}, "event-data": data})


def test_mailguns_webhooks_are_signed():
    mine = mailgun(webhook_signing_key="mg-sign")

    (hard,) = read(mine, from_mailgun(event="failed", severity="permanent", reason="bounce"))
    (opened,) = read(mine, from_mailgun(event="opened"))

    assert (hard.status, hard.hard, hard.message_id) == ("bounced", True, "<mg-1@mg.example.com>")
    assert (opened.status, opened.delivery_id) == ("opened", "d-1")
    assert read(mine, from_mailgun(event="failed", severity="temporary")) == []
    with pytest.raises(InvalidSignature):
        read(mine, from_mailgun("another", event="opened"))
    with pytest.raises(InvalidSignature):
        read(mailgun(), from_mailgun(event="opened"))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["event", "message", "x"]), below),
    max_leaves=5,
)  # fmt: skip
NAMES = (
    "event", "timestamp", "url", "type", "reason", "anymail_id", "delivery_id", "RecordType", "Type", "BouncedAt",
    "Metadata", "MessageID", "severity", "recipient", "user-variables", "message", "delivery-status",
)  # fmt: skip
SENSE = st.sampled_from(["open", "bounce", "click", "Bounce", "HardBounce", "failed", "2026-01-01T00:00:00", "1e20"])


@given(event=st.dictionaries(st.sampled_from(NAMES), JUNK | SENSE))
@hypothesis.settings(max_examples=150, deadline=None)
def test_whatever_a_service_signs_is_read_or_refused(event):
    login = {"authorization": f"Basic {b64encode(b'pm:hook').decode()}"}
    for mine, call in (
        (sendgrid(verification_key=PUBLIC), signed([event])),
        (postmark(webhook_secret="pm:hook"), callback(event, login)),
        (mailgun(webhook_signing_key="mg-sign"), from_mailgun("mg-sign", **event)),
    ):
        with suppress(WrongShape):
            for report in read(mine, call):
                assert isinstance(report.message_id, str)
                assert report.at is None or reports._occurred_at(report.at) != ""


def test_credentials_are_in_no_words_of_an_account():
    for mine in (sendgrid(), postmark(webhook_secret="pm:hook"), mailgun(webhook_signing_key="mg-sign")):
        for secret in ("SG.secret", "pm-token", "pm:hook", "mg-key", "mg-sign"):
            assert secret not in f"{mine!r} {mine.credentials!r} {mine.credentials}"
