from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from engine.nodes import registry
from engine.nodes.outcomes import Completed, Failed
from engine.ports import CallFailed, HttpRequest, HttpResponse, Ports, Signing
from tests.engine.nodes.steps import problems, step

CONFIG = {
    "url": "https://shop.example.com/api/stock/check",
    "body": {"cart_id": {"ref": "entry.cart_id"}},
    "timeout": "5s",
    "save_as": "stock",
    "on_failure": "continue",
}


@dataclass
class Web:
    """Answers every call alike, and keeps the last."""

    answer: HttpResponse | CallFailed
    asked: list[HttpRequest] = field(default_factory=list)

    def call(self, request):
        self.asked.append(request)
        if isinstance(self.answer, CallFailed):
            raise self.answer
        return self.answer


class Secrets:
    """Knows one."""

    def fetch(self, tenant_id, name):
        return "s3cret" if name == "shop_api" else None

    def existing(self, tenant_id, names):
        return frozenset(names) & {"shop_api"}


def call(raw=None, answer=None, **facts):
    """What the node says, and the request it made."""
    web = Web(answer or HttpResponse(200, b'{"all_available": true}'))
    node, config = registry.get("call_webhook"), registry.parse_config("call_webhook", {**CONFIG, **(raw or {})})
    prepared = node.prepare(config, step(entry={"cart_id": "c-7"}, **facts))
    attempt = step(input=prepared, ports=Ports(http=web, secrets=Secrets()), idempotency_key="i-1:n-1:1")
    outcome = node.execute(config, attempt)
    return outcome, web.asked[-1] if web.asked else None


def test_it_sends_json_and_keeps_the_answer():
    outcome, request = call()
    assert outcome == Completed({"status": "ok", "http_status": 200, "response": {"all_available": True}})
    assert (request.method, request.url, request.body) == ("POST", CONFIG["url"], b'{"cart_id":"c-7"}')
    assert request.headers == {"Idempotency-Key": "i-1:n-1:1", "Content-Type": "application/json"}
    assert request.timeout == timedelta(seconds=5)


def test_address_and_headers_may_be_references():
    raw = {
        "url": {"ref": "participant.hook"},
        "headers": {"X-A": {"ref": "entry.cart_id"}, "X-B": {"ref": "entry.gone"}},
    }
    _, request = call(raw, participant={"hook": "https://example.com/"})
    assert request.url == "https://example.com/"
    assert request.headers["X-A"] == "c-7"
    assert "X-B" not in request.headers


def test_a_secret_alone_is_a_bearer_token():
    _, request = call({"secret": "shop_api"})
    assert request.headers["Authorization"] == "Bearer s3cret"
    assert request.signing is None


@pytest.mark.parametrize("scheme", ["standard", "hmac-sha256"])
def test_with_sign_it_signs_instead(scheme):
    _, request = call({"secret": "shop_api", "sign": scheme})
    assert request.signing == Signing(scheme, "s3cret", "i-1:n-1:1")
    assert "Authorization" not in request.headers
    assert "s3cret" not in repr(request)


def test_a_secret_that_is_not_there_fails_without_calling():
    outcome, request = call({"secret": "gone"})
    assert (outcome.code, outcome.retryable, request) == ("unresolved_reference", False, None)


@pytest.mark.parametrize(
    ("status", "retryable"), [(302, False), (400, False), (404, False), (429, True), (500, True), (503, True)]
)
def test_only_busy_and_broken_receivers_are_tried_again(status, retryable):
    outcome, _ = call(answer=HttpResponse(status, b"no", retry_after=timedelta(seconds=7)))
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable, outcome.unknown) == (f"http_{status}", retryable, False)
    assert outcome.retry_after == (timedelta(seconds=7) if retryable else None)
    assert outcome.result == {"status": "failed", "http_status": status, "response": "no"}


@pytest.mark.parametrize("sent", [True, False])
def test_a_call_that_may_have_had_its_effect_is_unknown(sent):
    outcome, _ = call(answer=CallFailed("timeout", "late", sent=sent))
    assert (outcome.code, outcome.retryable, outcome.unknown) == ("timeout", True, sent)
    assert outcome.result == {"status": "failed", "http_status": None, "response": None}


@pytest.mark.parametrize(
    ("body", "cut", "response"),
    [
        (b"", False, None),
        (b"plain", False, "plain"),
        (b'{"a": 1', True, None),
        (b"\xff\x00", False, "\ufffd\ufffd"),
        (b'"a\\u0000b"', False, "a\ufffdb"),
    ],
)
def test_whatever_is_answered_can_be_kept(body, cut, response):
    outcome, _ = call(answer=HttpResponse(200, body, cut))
    assert outcome.result["response"] == response


def test_without_a_body_none_is_sent():
    _, request = call({"method": "GET", "body": None})
    assert (request.method, request.body) == ("GET", b"")


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ({"url": "shop.example.com"}, "url"),
        ({"url": {"ref": "hook"}}, "url"),
        ({"method": "TRACE"}, "method"),
        ({"headers": {"Host": "x"}}, "headers.Host"),
        ({"sign": "standard"}, ""),
        ({"sign": "md5", "secret": "x"}, "sign"),
        ({"retry": {"attempts": 0}}, "retry.attempts"),
        ({"on_failure": "ignore"}, "on_failure"),
    ],
)
def test_mistakes_are_named(raw, place):
    assert place in problems("call_webhook", {**CONFIG, **raw})
