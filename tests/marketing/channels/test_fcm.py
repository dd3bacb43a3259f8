"""Push by FCM: a token for the service account, a message for each device."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.nodes.errors import InvalidConfig
from marketing.channels.provider import Accepted, InvalidSignature, Permanent, Transient, Unknown
from marketing.channels.providers import fcm as module
from tests.marketing.channels.conftest import Answer, account, callback, message

KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
TOKEN = Answer(200, {"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer"})


@pytest.fixture(autouse=True)
def no_tokens():
    module._tokens.clear()


@pytest.fixture
def fcm(service):
    service.by_path["/token"] = TOKEN
    config = {"project_id": "acme-app", "api_url": service.url, "token_uri": f"{service.url}/token"}
    return account("fcm", "push", config, {"client_email": "k@acme.iam", "private_key": PEM})


def send(given, *messages):
    return given.provider.send_many(given, messages or [message("push", "device-1")])


def error(status: int, code: str, **more) -> Answer:
    details = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}]
    return Answer(status, {"error": {"code": status, "status": code, "message": "Sorry.", "details": details, **more}})


def decoded(text: str):
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def test_a_push_is_sent_with_a_token_that_the_service_account_signed_for(service, fcm):
    service.says(Answer(200, {"name": "projects/acme-app/messages/1"}))
    two = [message("push", "device-1", options={"android": {"priority": "HIGH"}, "token": "evil", "data": {"a": 1}})]

    assert send(fcm, *two, message("push", "device-2")) == [Accepted("projects/acme-app/messages/1")] * 2
    assert send(fcm) == [Accepted("projects/acme-app/messages/1")]

    first, *pushes = service.asked
    assert len(pushes) == 3
    grant = parse_qs(first.body.decode())
    head, claims, signature = grant["assertion"][0].split(".")
    KEY.public_key().verify(
        urlsafe_b64decode(signature + "=="), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    assert decoded(claims)["iss"] == "k@acme.iam"
    assert decoded(claims)["aud"] == f"{service.url}/token"
    push = next(each for each in pushes if each.json["message"]["token"] == "device-1")
    assert push.path == "/v1/projects/acme-app/messages:send"
    assert push.headers["authorization"] == "Bearer ya29.token"
    assert push.json["message"] == {
        "token": "device-1",
        "notification": {"title": "Hello", "body": "Hi"},
        "data": {"a": "1", "delivery_id": "d-1", "deep_link": "app://x"},
        "android": {"priority": "HIGH"},
    }


@pytest.mark.parametrize(
    ("answer", "kind", "code", "dead"),
    [
        (error(404, "UNREGISTERED"), Permanent, "invalid_address", True),
        (error(400, "INVALID_ARGUMENT", message="The registration token is not a valid FCM registration token"),
         Permanent, "invalid_address", True),
        (error(400, "INVALID_ARGUMENT"), Permanent, "invalid_argument", False),
        (error(403, "SENDER_ID_MISMATCH"), Permanent, "sender_mismatch", False),
        (error(503, "UNAVAILABLE"), Transient, "unavailable", None),
        (Answer(429, b"", {"Retry-After": "60"}), Transient, "rate_limited", None),
        (Answer(hangs_up=True), Unknown, "connection_lost", None),
    ],
)  # fmt: skip
def test_the_answer_says_what_became_of_it(service, fcm, answer, kind, code, dead):
    service.says(answer)

    (verdict,) = send(fcm)

    assert (type(verdict), verdict.code) == (kind, code)
    assert getattr(verdict, "dead_address", None) is dead
    if code == "rate_limited":
        assert verdict.retry_after == timedelta(seconds=60)


def test_a_token_that_is_refused_is_asked_for_anew(service, fcm):
    service.says(error(401, "UNAUTHENTICATED"), Answer(200, {"name": "n"}))

    assert [type(verdict) for verdict in send(fcm)] == [Transient]
    assert send(fcm) == [Accepted("n")]

    assert [each.path for each in service.asked].count("/token") == 2


@pytest.mark.parametrize("answer", [Answer(400, {"error": "invalid_grant"}), Answer(hangs_up=True), Answer(200, b"no")])
def test_without_a_token_nothing_was_sent(service, fcm, answer):
    service.by_path["/token"] = answer

    (verdict,) = send(fcm)

    assert isinstance(verdict, Transient)
    assert [each.path for each in service.asked] == ["/token"]


def test_the_key_has_to_be_one():
    config = {"project_id": "acme-app"}
    with pytest.raises(InvalidConfig, match="no private key") as refusal:
        account("fcm", "push", config, {"client_email": "k@acme.iam", "private_key": "top secret"})
    assert "top secret" not in str(refusal.value)


def test_nobody_reports_without_a_secret(fcm):
    with pytest.raises(InvalidSignature):
        fcm.provider.read_callback(fcm, callback([]))
