"""Starting flows over REST."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from engine import bells, births, triggers
from engine.models import StoredEvent
from flows import lifecycle
from flows.models import Flow, FlowInstance
from marketing.customers import store
from tenants.models import Role, Tenant
from tests.engine.api.conftest import codes
from tests.support.graphs import chain, graph
from tests.support.passage import run_until_idle

TRIGGER = "/api/v1/flows/{flow_id}/trigger"
TWO_ENTRIES = graph(
    {
        "a": ("event_entry", {"event_type": "x"}, {None: "done"}),
        "b": ("event_entry", {"event_type": "y"}, {None: "done"}),
        "done": ("exit", {}),
    }
)


@pytest.fixture
def start(agree: Callable[..., Any], api: APIClient) -> Callable[..., Any]:
    def call(flow: Flow, by: APIClient = api, **body: Any) -> Any:
        return agree(by, "post", TRIGGER, body, flow_id=str(flow.pk))

    return call


def test_a_participant_enters(flow_of: Callable[..., Flow], start: Callable[..., Any], rung: list[bells.Bell]) -> None:
    answer = start(flow_of(chain(1)), participant_id="ada", context={"plan": "pro"}, correlation_key="k")

    assert answer.status_code == 201
    instance = FlowInstance.objects.get(pk=answer.json()["instance_id"])
    assert (instance.participant_id, instance.correlation_key, instance.runnable) == ("ada", "k", True)
    assert answer.json()["status"] == instance.status == "running"
    assert instance.context["entry"] == {"plan": "pro"}
    event = StoredEvent.objects.get(aggregate_id=instance.pk)
    assert event.metadata["correlation_id"] == answer["X-Request-Id"]
    assert event.metadata["actor"].startswith("key:")
    assert rung == [bells.Bell.ADVANCE]


def test_the_same_participant_twice(flow_of: Callable[..., Flow], start: Callable[..., Any]) -> None:
    flow = flow_of(chain(1))
    first = start(flow, participant_id="ada")

    again = start(flow, participant_id="ada")

    assert (again.status_code, codes(again)) == (409, ["already_in_flow"])
    assert again.json()["instance_id"] == first.json()["instance_id"]
    assert again.json()["type"] == "client_error"
    assert FlowInstance.objects.count() == 1


def test_of_many_at_the_same_moment_one_enters(flow_of: Callable[..., Flow], tenant: Tenant, client_of: Any) -> None:
    address = TRIGGER.format(flow_id=flow_of(chain(1)).pk)
    clients = [client_of(tenant) for _ in range(8)]
    barrier = threading.Barrier(len(clients))

    def enter(client: APIClient) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=60)
            return client.post(address, {"participant_id": "ada"})
        finally:
            connection.close()

    with ThreadPoolExecutor(len(clients)) as pool:
        answers = sorted(pool.map(enter, clients), key=lambda answer: answer.status_code)

    assert [answer.status_code for answer in answers] == [201] + [409] * 7
    assert {answer.json()["instance_id"] for answer in answers} == {answers[0].json()["instance_id"]}


def test_a_start_is_three_statements(
    flow_of: Callable[..., Flow], start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = flow_of(chain(1))
    start(flow, participant_id="warm")
    seen: list[str] = []
    for module in (triggers, births, store):
        execute = module.execute
        monkeypatch.setattr(module, "execute", lambda sql, *rest, run=execute: (seen.append(sql), run(sql, *rest))[1])

    with CaptureQueriesContext(connection) as others:
        start(flow, participant_id="ada")

    assert seen == [triggers.FIND_FLOW, store.MERGED, births.WRITE]
    assert not others.captured_queries


@pytest.mark.parametrize("limits", [{"reentry": "once"}, {"reentry": "after_interval", "reentry_interval": "1d"}])
def test_a_second_entry_is_told_of_the_live_run_and_of_the_policy_once_that_is_over(
    flow_of: Callable[..., Flow], start: Callable[..., Any], limits: dict[str, str]
) -> None:
    flow = flow_of(chain(1, **limits))
    first = start(flow, participant_id="ada").json()

    during, in_bulk = start(flow, participant_id="ada"), start(flow, participant_ids=["ada", "bob"])
    run_until_idle()

    again = start(flow, participant_id="ada")

    assert (during.status_code, codes(during)) == (409, ["already_in_flow"])
    assert during.json()["instance_id"] == first["instance_id"]
    assert [(each["code"], each["instance_id"]) for each in in_bulk.json()["refused"]] == [
        ("already_in_flow", first["instance_id"])
    ]
    assert (again.status_code, codes(again)) == (409, ["reentry_policy"])


def test_only_an_active_flow_takes_entries(flow_of: Callable[..., Flow], start: Callable[..., Any]) -> None:
    flow = flow_of(chain(1))
    lifecycle.pause(flow)

    for body in ({"participant_id": "ada"}, {"participant_ids": ["ada"]}):
        answer = start(flow, **body)
        assert (answer.status_code, codes(answer)) == (409, ["flow_not_active"])


def test_several_entry_nodes(flow_of: Callable[..., Flow], start: Callable[..., Any]) -> None:
    flow = flow_of(TWO_ENTRIES)

    unclear = start(flow, participant_id="ada")
    unknown = start(flow, participant_id="ada", entry_node="done")
    named = start(flow, participant_id="ada", entry_node="b")

    assert (unclear.status_code, codes(unclear)) == (400, ["ambiguous_entry_node"])
    assert (unknown.status_code, codes(unknown)) == (400, ["unknown_entry_node"])
    assert named.status_code == 201
    assert FlowInstance.objects.get().current_nodes[0]["node_id"] == "b"


def test_a_key_where_one_is_needed(flow_of: Callable[..., Flow], start: Callable[..., Any]) -> None:
    flow = flow_of(chain(1, reentry="per_key", correlation_key="entry.order"))

    missing = start(flow, participant_id="ada")

    assert (missing.status_code, codes(missing)) == (400, ["missing_correlation_key"])
    assert start(flow, participant_id="ada", correlation_key="1").status_code == 201
    assert start(flow, participant_id="ada", correlation_key="2").status_code == 201
    assert start(flow, participant_id="ada", correlation_key="2").status_code == 409


def test_many_enter_and_the_refused_are_named(flow_of: Callable[..., Flow], start: Callable[..., Any]) -> None:
    flow = flow_of(chain(1))
    live = start(flow, participant_id="p1").json()["instance_id"]

    answer = start(flow, participant_ids=["p0", "p1", "p2", "p2"], context={"n": 1})

    assert answer.status_code == 202
    told = answer.json()
    stored = {str(each.pk): each.participant_id for each in FlowInstance.objects.all()}
    assert told["accepted"] == 2
    assert [stored[each] for each in told["instance_ids"]] == ["p0", "p2"]
    assert [(each["participant_id"], each["code"]) for each in told["refused"]] == [
        ("p1", "already_in_flow"),
        ("p2", "already_in_flow"),
    ]
    assert [each["instance_id"] for each in told["refused"]] == [live, told["instance_ids"][1]]


def test_ten_thousand_enter_at_once(flow_of: Callable[..., Flow], start: Callable[..., Any]) -> None:
    flow = flow_of(chain(1))

    answer = start(flow, participant_ids=[f"p{i}" for i in range(10_000)])

    assert answer.json()["accepted"] == FlowInstance.objects.count() == 10_000
    assert start(flow, participant_ids=["p"] * 10_001).status_code == 400


@pytest.mark.parametrize(
    ("body", "code", "attr"),
    [
        ({}, "required", "participant_id"),
        ({"participant_id": 1}, "invalid", "participant_id"),
        ({"participant_id": "x" * 256}, "max_length", "participant_id"),
        ({"participant_id": "a", "context": []}, "not_a_dict", "context"),
        ({"participant_id": "a", "context": None}, "not_a_dict", "context"),
        ({"participant_id": "a", "entry_node": 5}, "invalid", "entry_node"),
        ({"participant_id": "a", "correlation_key": ""}, "blank", "correlation_key"),
        ({"participant_id": "a", "participant": "b"}, "unknown_field", "participant"),
        ({"participant_id": "a", "participant_ids": ["b"]}, "invalid", "participant_ids"),
        ({"participant_ids": []}, "min_length", "participant_ids"),
        ({"participant_ids": "ada"}, "not_a_list", "participant_ids"),
        ({"participant_ids": ["a", ""]}, "blank", "participant_ids.1"),
    ],
)
def test_what_is_wrong_is_named(
    flow_of: Callable[..., Flow], start: Callable[..., Any], body: dict[str, Any], code: str, attr: str
) -> None:
    answer = start(flow_of(chain(1)), **body)

    assert answer.status_code == 400
    assert [(each["code"], each["attr"]) for each in answer.json()["errors"]] == [(code, attr)]
    assert not FlowInstance.objects.exists()


def test_flows_belong_to_their_tenant(
    flow_of: Callable[..., Flow], other_tenant: Tenant, client_of: Callable[..., APIClient], start: Callable[..., Any]
) -> None:
    flow = flow_of(chain(1))

    assert start(flow, by=client_of(other_tenant), participant_id="ada").status_code == 404
    assert start(Flow(pk=uuid4()), participant_id="ada").status_code == 404
    assert not FlowInstance.objects.exists()


def test_a_malformed_id_is_unknown(api: APIClient) -> None:
    assert api.post(TRIGGER.format(flow_id="x"), {"participant_id": "ada"}).status_code == 404


def test_who_may(
    flow_of: Callable[..., Flow], tenant: Tenant, client_of: Callable[..., APIClient], start: Callable[..., Any]
) -> None:
    flow = flow_of(chain(1))

    assert start(flow, by=APIClient(), participant_id="ada").status_code == 401
    assert start(flow, by=client_of(tenant, Role.VIEWER), participant_id="ada").status_code == 403


def test_the_same_request_twice_with_a_key(flow_of: Callable[..., Flow], api: APIClient) -> None:
    address = TRIGGER.format(flow_id=flow_of(chain(1)).pk)
    first, second = (api.post(address, {"participant_id": "a"}, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert second["Idempotent-Replayed"] == "true"


def test_numbers_of_any_size_can_be_read_again(flow_of: Callable[..., Flow], api: APIClient) -> None:
    flow, context = flow_of(chain(1)), {"max": 1.5e308, "whole": 1e20, "min": -1e25, "edge": 2**63 - 1}
    body = {"participant_id": "ada", "context": context}
    instance_id = api.post(TRIGGER.format(flow_id=flow.pk), body).json()["instance_id"]
    run_until_idle()

    assert api.get(f"/api/v1/instances/{instance_id}").json()["context"]["entry"] == context
    assert api.get(f"/api/v1/instances/{instance_id}/events").json()["results"][0]["data"]["context"] == context
    assert api.get("/api/v1/instances").status_code == 200


def test_one_participants_context_is_not_unlimited(flow_of: Callable[..., Flow], start: Callable[..., Any]) -> None:
    answer = start(flow_of(chain(1)), participant_id="ada", context={"text": "x" * 1024 * 1024})

    assert (answer.status_code, codes(answer)) == (413, ["body_too_large"])


def test_without_a_broker_flows_start(
    flow_of: Callable[..., Flow], start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = flow_of(chain(1))
    monkeypatch.setattr("django.conf.settings.REDIS_URL", "redis://127.0.0.1:1/0")
    ringer = bells.Ringer()
    monkeypatch.setattr(bells.ringer, "ring", ringer.ring)
    start(flow, participant_id="warm")
    took = []
    for name in ("ada", "bob", "cem"):
        ringer._silent_until = 0.0
        began = time.monotonic()
        assert start(flow, participant_id=name).status_code == 201
        took.append(time.monotonic() - began)

    # Any of them may have been held up by the machine.
    assert min(took) < 0.2
    assert ringer.failures >= len(took)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = ["participant_id", "participant_ids", "context", "entry_node", "correlation_key"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({}, optional={name: JSONS | st.just("entry") for name in NAMES}) | JSONS)
def test_nothing_that_is_sent_breaks_it(api: APIClient, flow_of: Callable[..., Flow], value: Any) -> None:
    flow = Flow.objects.first() or flow_of(chain(1))
    body = json.dumps(value).encode()

    answer = api.post(TRIGGER.format(flow_id=flow.pk), data=body, content_type="application/json")

    assert answer.status_code in {201, 202, 400, 409}, answer.content
