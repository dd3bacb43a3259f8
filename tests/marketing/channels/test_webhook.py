"""The provider `webhook`: signed both ways."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from engine import signatures
from marketing.channels.provider import Accepted, InvalidSignature, Permanent, Report, Transient, Unknown, WrongShape
from tests.marketing.channels.conftest import Answer, Service, account, callback, message

SECRET = "a secret of sixteen"


def sends(service: Service, *messages, url: str = "", timeout: int = 5):
    config = {"url": url or f"{service.url}/hook", "timeout_seconds": timeout}
    webhook = account("webhook", "email", config, {"secret": SECRET})
    return webhook.provider.send_many(webhook, messages or [message()])


def test_a_message_is_a_signed_call(service):
    service.says(Answer(200, {"message_id": "theirs-1"}))

    assert sends(service, message(options={"a": 1})) == [Accepted("theirs-1")]

    (asked,) = service.asked
    assert asked.headers["webhook-id"] == "run:node:1"
    signatures.verify_standard(SECRET, asked.headers, asked.body, now=datetime.now(UTC))
    assert asked.json["recipient"] == "ada@example.com"
    assert asked.json["parts"]["subject"] == "Hello"
    assert asked.json["options"] == {"a": 1}


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(204, b""), Accepted("d-1")),
        (Answer(429, headers={"Retry-After": "9"}), Transient("rate_limited", "", timedelta(seconds=9))),
        (Answer(503, headers={"Retry-After": "3"}), Transient("http_503", "", timedelta(seconds=3))),
        (Answer(500, b"oops"), Transient("http_500")),
        (Answer(401), Transient("unauthorized")),
        (Answer(504), Unknown("gateway_timeout")),
        (Answer(400, {"code": "gone", "detail": "Moved.", "dead_address": True}), Permanent("gone", "Moved.", True)),
        (Answer(302, headers={"Location": "http://127.0.0.1/"}), Permanent("http_302")),
    ],
)
def test_the_answer_says_what_became_of_it(service, answer, verdict):
    service.says(answer)

    assert sends(service) == [verdict]


def test_no_answer_after_the_request_was_written_is_unknown(service):
    service.says(Answer(hangs_up=True))

    (verdict,) = sends(service)

    assert isinstance(verdict, Unknown)
    assert len(service.asked) == 1


def test_nobody_there_is_another_time(service):
    (verdict,) = sends(service, url="http://127.0.0.1:9/")

    assert isinstance(verdict, Transient)
    assert verdict.code == "connect_failed"


def test_private_addresses_are_refused(service):
    (verdict,) = sends(service, url="http://10.1.2.3/")

    assert isinstance(verdict, Permanent)
    assert verdict.code == "forbidden_address"


def test_verdicts_come_in_the_order_of_the_messages(service):
    several = [message(recipient=f"p{number}@example.com", delivery_id=f"d-{number}") for number in range(20)]
    service.says(Answer(204, b""))

    assert sends(service, *several) == [Accepted(f"d-{number}") for number in range(20)]


def signed(body, *, secret: str = SECRET, age: float = 0):
    raw = json.dumps(body).encode()
    now = datetime.now(UTC) - timedelta(seconds=age)
    return callback(raw, signatures.sign("standard", secret, raw, message_id="cb-1", now=now))


def reports(call):
    webhook = account("webhook", "email", {"url": "https://x.example/"}, {"secret": SECRET})
    return webhook.provider.read_callback(webhook, call)


def test_signed_reports_are_read():
    said = {"delivery_id": "d-1", "status": "clicked", "at": "2026-01-01T00:00:00Z", "data": {"url": "https://x"}}

    (report,) = reports(signed([said]))

    assert report == Report(
        "webhook", "clicked", datetime(2026, 1, 1, tzinfo=UTC), delivery_id="d-1", data={"url": "https://x"}
    )


@pytest.mark.parametrize("call", [signed([], secret="another secret of it"), signed([], age=3600), callback([])])
def test_what_is_not_signed_now_and_with_the_secret_is_refused(call):
    with pytest.raises(InvalidSignature):
        reports(call)


@pytest.mark.parametrize(
    "body",
    [
        "nothing",
        [1],
        [{"status": "opened"}],
        [{"delivery_id": "d", "status": "exploded"}],
        [{"delivery_id": "d", "status": "opened", "more": 1}],
        [{"delivery_id": "d", "status": "opened", "at": "yesterday"}],
        [{"delivery_id": "d\0", "status": "opened"}],
        [{"delivery_id": "d", "status": "opened"}] * 1001,
    ],
)
def test_another_shape_is_refused(body):
    with pytest.raises(WrongShape):
        reports(signed(body))
