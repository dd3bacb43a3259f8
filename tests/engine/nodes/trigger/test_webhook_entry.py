import hmac
from datetime import timedelta
from hashlib import sha256

import pytest
from standardwebhooks.webhooks import Webhook

from engine.nodes import registry
from engine.nodes.outcomes import Completed
from engine.signatures import sign
from tests.engine.nodes.steps import NOON, execute, problems

BODY = b'{"customer": {"id": 7}, "id": "call-1", "lines": [{"sku": "a"}]}'
STANDARD = {"webhook_path": "orders", "signature": {"secret": "shop"}}
SECRET = "whsec_" + "c2VjcmV0IHNlY3JldCBzZWNyZXQ="


def verify(raw, headers, body=BODY, now=NOON, secret=SECRET):
    config = registry.parse_config("webhook_entry", raw)
    return registry.get("webhook_entry").verify(config, secret, headers, body, now)


def test_it_completes_at_once():
    assert execute("webhook_entry", STANDARD) == Completed()


def test_it_takes_what_the_standards_own_library_signs():
    signature = Webhook(SECRET).sign("m-1", NOON, BODY.decode())
    headers = {"Webhook-Id": "m-1", "Webhook-Timestamp": str(int(NOON.timestamp())), "Webhook-Signature": signature}
    assert verify(STANDARD, headers)
    assert verify(STANDARD, {**headers, "Webhook-Signature": f"v1,b2xkIGtleQ== {signature}"})
    assert not verify(STANDARD, headers, body=BODY + b" ")
    assert not verify(STANDARD, headers, secret="whsec_b3RoZXI=")
    assert not verify(STANDARD, {**headers, "Webhook-Id": "m-2"})


@pytest.mark.parametrize("age", [timedelta(minutes=6), timedelta(minutes=-6)])
def test_an_old_call_and_one_of_the_future_are_refused(age):
    headers = sign("standard", SECRET, BODY, message_id="m-1", now=NOON - age)
    assert not verify(STANDARD, headers)
    patient = {**STANDARD, "signature": {"secret": "shop", "tolerance": "10m"}}
    assert verify(patient, headers)


@pytest.mark.parametrize("headers", [{}, {"webhook-id": "m", "webhook-timestamp": "soon", "webhook-signature": "v1,é"}])
def test_what_is_not_signed_is_refused(headers):
    assert not verify(STANDARD, headers)


def test_without_a_signature_declared_any_call_will_do():
    assert verify({"webhook_path": "orders"}, {})


def test_it_takes_a_plain_hmac_in_the_header_of_the_senders_choice():
    config = {
        "webhook_path": "p",
        "signature": {"scheme": "hmac-sha256", "secret": "s", "header": "X-Hub-Signature-256"},
    }
    digest = hmac.new(b"key", BODY, sha256).hexdigest()
    assert verify(config, {"x-hub-signature-256": f"sha256={digest}"}, secret="key")
    assert verify(config, {"x-hub-signature-256": digest.upper()}, secret="key")
    assert not verify(config, {"x-hub-signature-256": digest}, secret="other")
    assert not verify(config, {}, secret="key")


def test_with_a_timestamp_header_the_time_is_signed_too():
    signature = {"scheme": "hmac-sha256", "secret": "s", "timestamp_header": "X-Timestamp"}
    config = {"webhook_path": "p", "signature": signature}
    headers = sign("hmac-sha256", "key", BODY, message_id="m-1", now=NOON)
    assert verify(config, headers, secret="key")
    assert not verify(config, headers, secret="key", now=NOON + timedelta(minutes=6))
    assert not verify(config, {**headers, "X-Timestamp": "1"}, secret="key")


def test_it_takes_from_the_body_what_it_is_told():
    body = {"customer": {"id": 7}, "id": "call-1", "lines": [{"sku": "a"}]}

    def extract(**raw):
        config = registry.parse_config("webhook_entry", {"webhook_path": "p", **raw})
        return registry.get("webhook_entry").extract(config, body)

    call = extract(
        participant_id_path="customer.id", event_id_path="id", map={"sku": "lines.0.sku", "gone": "lines.1.sku"}
    )
    assert (call.participant_id, call.event_id, call.entry) == ("7", "call-1", {"sku": "a"})
    assert extract(participant_id_path="customer").participant_id is None
    assert extract().entry == body


def test_a_path_is_one_part_of_an_address():
    assert "webhook_path" in problems("webhook_entry", {"webhook_path": "a/b"})
