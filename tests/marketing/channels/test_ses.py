"""Amazon SES: the documented signature, and events that only its topic can send."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from engine import ports
from engine.ports import CallFailed, HttpRequest, HttpResponse
from marketing.channels import aws
from marketing.channels.provider import Accepted, InvalidSignature, Permanent, Transient, Unknown, WrongShape
from tests.marketing.channels.conftest import Answer, account, callback, message

TOPIC = "arn:aws:sns:eu-central-1:123456789012:mail"
CERT_URL = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem"
KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, datetime(2026, 1, 1), datetime(2036, 1, 1))
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


class Amazon:
    """Gives its certificate, and remembers who was there."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def call(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request.url)
        if request.url == CERT_URL:
            return HttpResponse(200, certificate())
        raise CallFailed("connect_failed", "elsewhere")


@pytest.fixture
def amazon():
    aws._public_key.cache_clear()
    with ports.binding(http=(bound := Amazon())):
        yield bound
    aws._public_key.cache_clear()


def ses(**config):
    given = {"from_email": "us@example.com", "region": "eu-central-1", "topic_arn": TOPIC, **config}
    return account("ses", "email", given, {"access_key_id": "AKIDEXAMPLE000000", "secret_access_key": "secret"})


def send(given):
    return given.provider.send_many(given, [message()])[0]


def test_calls_are_signed_as_amazon_documents_it():
    request = HttpRequest(
        "GET",
        "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
    )

    signed = aws.sign(
        request, "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", region="us-east-1", service="iam",
        now=datetime(2015, 8, 30, 12, 36, tzinfo=UTC),
    )  # fmt: skip

    assert signed.headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_a_mail_is_sent_as_it_was_written(service):
    service.says(Answer(200, {"MessageId": "ses-1"}))

    assert send(ses(api_url=service.url, configuration_set="all")) == Accepted("ses-1")

    (asked,) = service.asked
    assert asked.path == "/v2/email/outbound-emails"
    assert "Credential=AKIDEXAMPLE000000/" in asked.headers["authorization"]
    assert asked.json["EmailTags"] == [{"Name": "delivery_id", "Value": "d-1"}]
    assert asked.json["ConfigurationSetName"] == "all"
    mail = message_from_bytes(b64decode(asked.json["Content"]["Raw"]["Data"]), policy=policy.default)
    assert (mail["Subject"], mail["To"]) == ("Hello", "ada@example.com")


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Answer(429, {"message": "Rate"}, {"Retry-After": "2"}), Transient, "rate_limited"),
        (Answer(403, {"message": "Signature"}), Transient, "forbidden"),
        (Answer(400, {"message": "Email address is not verified."}), Permanent, "http_400"),
        (Answer(hangs_up=True), Unknown, "connection_lost"),
    ],
)
def test_the_answer_says_what_became_of_it(service, answer, kind, code):
    service.says(answer)

    verdict = send(ses(api_url=service.url))

    assert (type(verdict), verdict.code) == (kind, code)


def notified(event=None, version: str = "2", **changed):
    said = {
        "Type": "Notification", "MessageId": "sns-1", "TopicArn": TOPIC, "Timestamp": "2026-01-01T00:00:00Z",
        "Message": json.dumps(event or {}), **changed,
    }  # fmt: skip
    told = "".join(f"{name}\n{said[name]}\n" for name in sorted(said))
    digest = hashes.SHA256() if version == "2" else hashes.SHA1()
    signature = b64encode(KEY.sign(told.encode(), padding.PKCS1v15(), digest)).decode()
    return {**said, "SignatureVersion": version, "SigningCertURL": CERT_URL, "Signature": signature}


def read(said, **config):
    given = ses(**config)
    return given.provider.read_callback(given, callback(said))


def happened(kind: str, **facts):
    about = {"messageId": "ses-1", "tags": {"delivery_id": ["d-1"]}}
    return {"eventType": kind, "mail": about, kind.lower(): {"timestamp": "2026-01-01T00:00:00.000Z", **facts}}


@pytest.mark.parametrize("version", ["1", "2"])
def test_events_become_reports(amazon, version):
    found = [
        read(notified(event, version))[0]
        for event in (
            happened("Bounce", bounceType="Permanent", bounceSubType="General"),
            happened("Bounce", bounceType="Transient"),
            happened("Complaint"),
            happened("Click", link="https://x"),
            happened("Delivery"),
        )
    ]

    assert [(each.status, each.hard) for each in found] == [
        ("bounced", True), ("bounced", False), ("complained", False), ("clicked", False), ("delivered", False),
    ]  # fmt: skip
    assert (found[0].message_id, found[0].delivery_id, found[0].detail) == ("ses-1", "d-1", "Permanent General")
    assert found[0].at == datetime(2026, 1, 1, tzinfo=UTC) + timedelta()
    assert found[3].data == {"url": "https://x"}
    assert read(notified(happened("Send"))) == []
    assert amazon.asked == [CERT_URL]


def test_a_subscription_confirms_itself_at_amazon_only(amazon):
    at_amazon = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    said = {"Type": "SubscriptionConfirmation", "Token": "t"}

    assert read(notified(SubscribeURL=at_amazon, **said)) == []
    with pytest.raises(InvalidSignature):
        read(notified(SubscribeURL="https://sns.evil.example/", **said))

    assert amazon.asked == [CERT_URL, at_amazon]


def test_only_the_channels_topic_is_believed(amazon):
    good = notified(happened("Delivery"))
    for said in (
        {**good, "Message": "{}"},
        {**good, "Signature": "eHg="},
        {**good, "Signature": "!"},
        {**good, "SigningCertURL": "https://evil.example/sns.pem"},
        {**good, "SigningCertURL": "https://sns.eu-central-1.amazonaws.com.evil.example/x.pem"},
        {**good, "SigningCertURL": "https://sns.eu-central-2.amazonaws.com/gone.pem"},
        notified(happened("Delivery"), TopicArn="arn:aws:sns:eu-central-1:666:theirs"),
        {},
    ):
        with pytest.raises(InvalidSignature):
            read(said)
    with pytest.raises(InvalidSignature):
        read(good, topic_arn=None)
    with pytest.raises(WrongShape):
        read([])
