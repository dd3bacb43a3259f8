"""Events over REST."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from engine import bells
from engine.models import InboundEvent
from tenants.models import Role, Tenant
from tests.engine.api.conftest import codes

EVENTS = "/api/v1/events"
BATCH = "/api/v1/events/batch"
EVENT = "/api/v1/events/{event_id}"


def test_an_event_is_stored_and_shown(agree: Callable[..., Any], api: APIClient, now: Any) -> None:
    sent = {
        "participant_id": "ada",
        "event_type": "paid",
        "data": {"sum": 1},
        "occurred_at": "2030-01-01T13:59:00+02:00",
    }

    received = agree(api, "post", EVENTS, sent)

    assert received.status_code == 202
    assert (received.json()["duplicate"], received.json()["payload_mismatch"]) == (False, False)
    shown = agree(api, "get", EVENT, event_id=received.json()["event_id"]).json()
    assert (shown["participant_id"], shown["data"], shown["source"]) == ("ada", {"sum": 1}, "api")
    assert (shown["occurred_at"], shown["occurred_as_sent"]) == ("2030-01-01T11:59:00Z", None)
    assert (shown["received_at"], shown["routed_at"], shown["effects"]) == ("2030-01-01T12:00:00Z", None, [])
    assert shown["correlation_id"] == received["X-Request-Id"]


def test_an_event_says_what_it_did(agree: Callable[..., Any], api: APIClient, tenant: Tenant, now: Any) -> None:
    api.post(EVENTS, {"participant_id": "ada", "event_type": "paid", "event_id": "order/1"})
    flow = "0197b1c4-0000-7000-8000-000000000001"
    effects = [
        {"kind": "wait_resolved", "instance_id": flow, "flow_id": flow, "node_id": "reply"},
        {"kind": "refused", "flow_id": flow, "code": "already_in_flow"},
    ]
    InboundEvent.objects.update(routed_at=now(), effects=effects)

    shown = agree(api, "get", EVENT, event_id="order/1").json()

    said = [{name: value for name, value in each.items() if value is not None} for each in shown["effects"]]
    assert said == effects


def test_a_duplicate_is_told_and_no_error(agree: Callable[..., Any], api: APIClient) -> None:
    sent = {"participant_id": "ada", "event_type": "paid", "event_id": "1", "data": {"sum": 1}}
    agree(api, "post", EVENTS, sent)

    assert api.post(EVENTS, sent).json() == {"event_id": "1", "duplicate": True, "payload_mismatch": False}
    other = api.post(EVENTS, sent | {"data": {"sum": 2}})
    assert (other.status_code, other.json()["payload_mismatch"]) == (202, True)


def test_a_clock_that_is_ahead_is_set_right(api: APIClient, now: Any) -> None:
    later = now() + timedelta(days=1)
    sent = {"participant_id": "ada", "event_type": "paid", "event_id": "1", "occurred_at": later.isoformat()}
    api.post(EVENTS, sent)

    shown = api.get(EVENT.format(event_id="1")).json()

    assert shown["occurred_at"] == "2030-01-01T12:05:00Z"
    assert shown["occurred_as_sent"] == "2030-01-02T12:00:00Z"


@pytest.mark.parametrize(
    ("wrong", "code", "attr"),
    [
        ({"participant_id": None}, "invalid", "participant_id"),
        ({"participant_id": 7}, "invalid", "participant_id"),
        ({"participant_id": ""}, "blank", "participant_id"),
        ({"event_type": "x" * 256}, "max_length", "event_type"),
        ({"event_type": "a\0b"}, "invalid_string", "event_type"),
        ({"data": []}, "not_a_dict", "data"),
        ({"data": None}, "not_a_dict", "data"),
        ({"data": {"big": 2**70}}, "number_out_of_range", None),
        ({"event_id": 1}, "invalid", "event_id"),
        ({"event_id": ""}, "blank", "event_id"),
        ({"occurred_at": "2030-01-01T12:00:00"}, "datetime", "occurred_at"),
        ({"occurred_at": "2030-01-01"}, "datetime", "occurred_at"),
        ({"occurred_at": "yesterday"}, "datetime", "occurred_at"),
        ({"occurred_at": 1893499200}, "datetime", "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "datetime", "occurred_at"),
        ({"evnt_id": "1"}, "unknown_field", "evnt_id"),
    ],
)
def test_what_is_wrong_is_named(agree: Callable[..., Any], api: APIClient, wrong: dict, code: str, attr: str) -> None:
    body = as_sent({"participant_id": "ada", "event_type": "paid"} | wrong)

    answer = api.post(EVENTS, data=body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json()["type"] == "validation_error"
    assert [(each["code"], each["attr"]) for each in answer.json()["errors"]] == [(code, attr)]
    assert not InboundEvent.objects.exists()


def as_sent(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{}", b'{"participant_id":"a"'])
def test_a_body_that_is_no_event(api: APIClient, body: bytes) -> None:
    for address in (EVENTS, BATCH):
        answer = api.post(address, data=body, content_type="application/json")
        assert answer.status_code == 400, (address, body, answer.content)


def test_good_ones_of_a_batch_are_kept(agree: Callable[..., Any], api: APIClient) -> None:
    api.post(EVENTS, {"participant_id": "ada", "event_type": "paid", "event_id": "old"})
    good = {"participant_id": "ada", "event_type": "seen"}
    events = [
        good,
        {**good, "extra": 1},
        {**good, "event_id": "old"},
        5,
        {"event_type": 3},
        {**good, "event_id": "new"},
    ]

    answer = agree(api, "post", BATCH, {"events": events})

    assert answer.status_code == 202
    told = answer.json()
    assert (told["accepted"], told["duplicates"], told["payload_mismatches"]) == (2, [2], [2])
    assert [each["index"] for each in told["errors"]] == [1, 3, 4]
    assert told["errors"][0]["errors"][0] == {
        "code": "unknown_field",
        "detail": "There is no field 'extra' here.",
        "attr": "extra",
    }
    assert [each["attr"] for each in told["errors"][2]["errors"]] == ["participant_id", "event_type"]
    assert InboundEvent.objects.count() == 3


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"events": []}, "min_length"),
        ({"events": [{}] * 1001}, "max_length"),
        ({"events": {}}, "not_a_list"),
        ({"event": []}, "unknown_field"),
        ({}, "required"),
    ],
)
def test_a_batch_that_is_none(agree: Callable[..., Any], api: APIClient, body: Any, code: str) -> None:
    answer = agree(api, "post", BATCH, body)

    assert (answer.status_code, codes(answer)) == (400, [code])


def test_a_batch_may_be_large_and_one_event_not(api: APIClient) -> None:
    event = {"participant_id": "ada", "event_type": "paid", "data": {"text": "x" * 1024 * 1024}}

    assert api.post(EVENTS, event).status_code == 413
    assert api.post(BATCH, {"events": [event] * 2}).json()["accepted"] == 2
    assert api.post(BATCH, {"events": [event] * 16}).status_code == 413


def test_events_belong_to_their_tenant(
    api: APIClient, other_tenant: Tenant, client_of: Callable[..., APIClient]
) -> None:
    sent = {"participant_id": "ada", "event_type": "paid", "event_id": "1"}
    other = client_of(other_tenant)
    api.post(EVENTS, sent)

    assert other.get(EVENT.format(event_id="1")).status_code == 404
    assert other.post(EVENTS, sent).json()["duplicate"] is False
    assert InboundEvent.objects.count() == 2


def test_who_may(tenant: Tenant, client_of: Callable[..., APIClient]) -> None:
    sent = {"participant_id": "ada", "event_type": "paid", "event_id": "1"}
    viewer = client_of(tenant, Role.VIEWER)

    assert APIClient().post(EVENTS, sent).status_code == 401
    assert viewer.post(EVENTS, sent).status_code == 403
    assert viewer.get(EVENT.format(event_id="1")).status_code == 404


def test_without_a_broker_events_come_in(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.conf.settings.REDIS_URL", "redis://127.0.0.1:1/0")
    ringer = bells.Ringer()
    monkeypatch.setattr(bells.ringer, "ring", ringer.ring)
    api.post(EVENTS, {"participant_id": "ada", "event_type": "warm"})
    took = []
    for name in ("ada", "bob", "cem"):
        ringer._silent_until = 0.0
        began = time.monotonic()
        assert api.post(EVENTS, {"participant_id": name, "event_type": "paid"}).status_code == 202
        took.append(time.monotonic() - began)

    # Any of them may have been held up by the machine.
    assert min(took) < 0.2
    assert ringer.failures >= len(took)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["2030-01-01T00:00:00Z", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["participant_id", "event_type", "data", "event_id", "occurred_at", "x"])
ODD = st.dictionaries(NAMES, JSONS | st.just("ada") | st.just({})) | JSONS


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ODD)
def test_nothing_that_is_sent_breaks_it(api: APIClient, value: Any) -> None:
    for address, body in ((EVENTS, value), (BATCH, {"events": [value]}), (BATCH, value)):
        answer = api.post(address, data=as_sent(body), content_type="application/json")
        assert answer.status_code in {202, 400}, answer.content
        assert answer.status_code == 202 or answer.json()["errors"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_no_id_breaks_it(api: APIClient, event_id: str) -> None:
    answer = api.get("/api/v1/events/" + quote(event_id.encode("utf-8", "surrogatepass"), safe=""))
    assert answer.status_code in {400, 404, 405}, answer.content
    assert orjson.loads(answer.content)["errors"]
