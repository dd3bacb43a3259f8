"""Calls of other systems."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils.timezone import now as wall_now
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from engine import bells, signatures
from engine.models import InboundEvent
from flows import lifecycle
from flows.models import Flow
from tenants import vault
from tenants.models import Secret, Tenant
from tests.engine.api.conftest import codes
from tests.support.graphs import graph

WEBHOOK = "/api/v1/webhooks/{flow_id}/{webhook_path}"


def hooked(**config: Any) -> dict[str, Any]:
    return graph({"hook": ("webhook_entry", {"webhook_path": "shop", **config}, {None: "done"}), "done": ("exit", {})})


@pytest.fixture
def call(agree: Callable[..., Any]) -> Callable[..., Any]:
    """Call a flow's webhook without a key."""
    client = APIClient(raise_request_exception=False)

    def send(flow: Flow, body: Any, path: str = "shop") -> Any:
        return agree(client, "post", WEBHOOK, body, flow_id=str(flow.pk), webhook_path=path)

    return send


def send_raw(flow: Flow, body: bytes, content_type: str = "application/json", **headers: str) -> Any:
    address = WEBHOOK.format(flow_id=flow.pk, webhook_path="shop")
    client = APIClient(raise_request_exception=False)
    return client.post(address, data=body, content_type=content_type, headers=headers)


def test_a_call_becomes_an_event_of_its_flow(
    flow_of: Callable[..., Flow], call: Callable[..., Any], rung: list[bells.Bell]
) -> None:
    flow = flow_of(hooked())

    answer = call(flow, {"participant_id": "ada", "total": 5})

    assert (answer.status_code, answer.json()["duplicate"]) == (202, False)
    event = InboundEvent.objects.get(event_id=answer.json()["event_id"])
    assert (event.tenant_id, event.flow_id, event.entry_node) == (flow.tenant_id, flow.pk, "hook")
    assert (event.event_type, event.participant_id, event.source) == ("webhook.shop", "ada", "webhook")
    assert event.data == {"participant_id": "ada", "total": 5}
    assert event.correlation_id == answer["X-Request-Id"]
    assert rung == [bells.Bell.ROUTE]


def test_paths_and_names_say_what_is_taken(flow_of: Callable[..., Flow], call: Callable[..., Any]) -> None:
    flow = flow_of(
        hooked(participant_id_path="order.customer.id", event_id_path="id", map={"sum": "order.lines.0.sum", "no": "x"})
    )
    body = {"id": 77, "order": {"customer": {"id": 12}, "lines": [{"sum": 3}]}}

    answers = [call(flow, body), call(flow, body)]

    assert [answer.json()["duplicate"] for answer in answers] == [False, True]
    event = InboundEvent.objects.get()
    assert (event.participant_id, event.data) == ("12", {"sum": 3})


def test_ids_of_two_flows_and_of_clients_do_not_meet(
    flow_of: Callable[..., Flow], call: Callable[..., Any], other_tenant: Tenant, api: APIClient
) -> None:
    flows = [flow_of(hooked(event_id_path="id")), flow_of(hooked(event_id_path="id"))]
    flows.append(flow_of(hooked(event_id_path="id"), of=other_tenant))
    api.post("/api/v1/events", {"participant_id": "ada", "event_type": "a", "event_id": "1"})

    for flow in flows:
        assert call(flow, {"participant_id": "ada", "id": "1"}).json()["duplicate"] is False
        assert call(flow, {"participant_id": "ada", "id": "x" * 5000}).json()["duplicate"] is False
        assert call(flow, {"participant_id": "ada", "id": "x" * 5000}).json()["duplicate"] is True
    assert InboundEvent.objects.count() == 7


def test_forms_are_taken_too(flow_of: Callable[..., Flow]) -> None:
    flow = flow_of(hooked(participant_id_path="From"))
    body = urlencode([("From", "+3161"), ("tag", "a"), ("tag", "b"), ("text", "ü")]).encode()
    parts = b'--x\r\nContent-Disposition: form-data; name="From"\r\n\r\n+32\r\n--x--\r\n'

    assert send_raw(flow, body, "application/x-www-form-urlencoded").status_code == 202
    assert send_raw(flow, parts, "multipart/form-data; boundary=x").status_code == 202

    first, second = InboundEvent.objects.order_by("id")
    assert (first.participant_id, first.data) == ("+3161", {"From": "+3161", "tag": ["a", "b"], "text": "ü"})
    assert second.participant_id == "+32"


@pytest.mark.parametrize("scheme", ["standard", "hmac-sha256"])
def test_a_signature_that_is_asked_for_has_to_be_right(
    flow_of: Callable[..., Flow], tenant: Tenant, scheme: signatures.Scheme
) -> None:
    vault.store(tenant, name="shop", value="s3cret")
    timestamp = {"timestamp_header": signatures.HMAC_TIMESTAMP_HEADER} if scheme == "hmac-sha256" else {}
    flow = flow_of(hooked(signature={"scheme": scheme, "secret": "shop", **timestamp}))
    body = b'{"participant_id": "ada"}'
    signed = signatures.sign(scheme, "s3cret", body, message_id="m", now=wall_now())
    forged = signatures.sign(scheme, "other", body, message_id="m", now=wall_now())

    for refused in (send_raw(flow, body), send_raw(flow, body, **forged), send_raw(flow, body + b" ", **signed)):
        assert (refused.status_code, codes(refused)) == (401, ["invalid_signature"])
    assert not InboundEvent.objects.exists()
    assert send_raw(flow, body, **signed).status_code == 202


def test_without_its_secret_nothing_is_let_in(
    flow_of: Callable[..., Flow], call: Callable[..., Any], tenant: Tenant
) -> None:
    vault.store(tenant, name="shop", value="s3cret")
    flow = flow_of(hooked(signature={"secret": "shop"}))
    Secret.objects.all().delete()
    body = b'{"participant_id": "ada"}'
    signed = signatures.sign("standard", "", body, message_id="m", now=wall_now())

    assert send_raw(flow, body, **signed).status_code == 401
    assert call(flow, {"participant_id": "ada"}).status_code == 401


def test_where_there_is_no_webhook(flow_of: Callable[..., Flow], call: Callable[..., Any], tenant: Tenant) -> None:
    flow = flow_of(hooked())
    draft = lifecycle.create(tenant, "draft", graph=hooked())

    assert call(flow, {"participant_id": "ada"}, path="other").status_code == 404
    assert call(draft, {"participant_id": "ada"}).status_code == 404
    assert call(Flow(pk="x"), {"participant_id": "ada"}).status_code == 404
    lifecycle.pause(flow)
    assert call(flow, {"participant_id": "ada"}).status_code == 404


def test_a_call_that_names_nobody(flow_of: Callable[..., Flow], call: Callable[..., Any]) -> None:
    flow = flow_of(hooked())

    for body in ({}, {"participant_id": ""}, {"participant_id": True}, {"participant_id": "x" * 256}, [1]):
        answer = call(flow, body)
        assert (answer.status_code, codes(answer)) == (400, ["required"])
        assert answer.json()["errors"][0]["attr"] == "participant_id"


def test_bodies_that_cannot_be_read(flow_of: Callable[..., Flow]) -> None:
    flow = flow_of(hooked())

    assert send_raw(flow, b"{").status_code == 400
    assert send_raw(flow, b'{"participant_id": "a\\u0000"}').status_code == 400
    assert send_raw(flow, b"participant_id=%00", "application/x-www-form-urlencoded").status_code == 400
    assert send_raw(flow, b"x", "multipart/form-data").status_code == 400
    assert send_raw(flow, b"x" * (1024 * 1024 + 1)).status_code == 413


def test_the_method_is_post(flow_of: Callable[..., Flow]) -> None:
    address = WEBHOOK.format(flow_id=flow_of(hooked()).pk, webhook_path="shop")

    assert APIClient().get(address).status_code == 405


KINDS = ["application/json", "text/plain", "image/png", "application/x-www-form-urlencoded; charset=unicode_escape"]
KINDS += ["application/x-www-form-urlencoded; charset=nonsense", "multipart/form-data; boundary=x"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60) | st.text().map(lambda text: json.dumps({"participant_id": text}).encode()),
    st.sampled_from(KINDS),
)
def test_nothing_that_is_sent_breaks_it(flow_of: Callable[..., Flow], body: bytes, kind: str) -> None:
    flow = Flow.objects.first() or flow_of(hooked())

    answer = send_raw(flow, body, kind)

    assert answer.status_code in {202, 400, 413, 415}, answer.content
