"""`POST /flows/{id}/versions/{n}/simulate`."""

from __future__ import annotations

import pytest

from engine.models import InboundEvent, StoredEvent
from flows import versions
from flows.models import FlowInstance
from tests.engine.api.conftest import codes
from tests.engine.rehearsal.test_rehearsing import ASK
from tests.support.graphs import ENTRY, graph

SIMULATE = "/api/v1/flows/{flow_id}/versions/{number}/simulate"


@pytest.fixture
def flow(flow_of):
    return flow_of(ASK)


@pytest.fixture
def simulate(agree, api, flow):
    def call(number=1, client=api, **body):
        return agree(client, "post", SIMULATE, body, flow_id=str(flow.pk), number=str(number))

    return call


def test_a_version_is_tried_out(simulate):
    answer = simulate(
        participant={"email": "ada@example.com", "properties": {"plan": "pro"}},
        entry={"source": "ad"},
        begins_at="2030-01-01T12:00:00Z",
        events=[{"event_type": "answered", "data": {"yes": True}, "node_id": "answer", "after": "2h"}],
        outcomes={"call": {"result": {"response": "thanks"}, "after": "3s"}},
    )

    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert [stop["node_id"] for stop in told["path"]] == ["entry", "answer", "call", "pause", "glad"]
    assert told["ended_at"] == "2030-01-02T14:00:03Z"
    assert told["participant"]["email"] == "ada@example.com"


def test_a_draft_is_tried_out_before_it_is_published(simulate, flow):
    versions.create_draft(flow, graph({"entry": (*ENTRY, {None: "end"}), "end": ("exit", {"reason": "draft"})}))

    assert simulate(2).json()["exit_reason"] == "draft"


def test_nothing_has_happened(simulate):
    simulate(participant_id="ada", events=[{"event_type": "answered", "data": {"yes": True}}])

    assert [table.objects.count() for table in (FlowInstance, StoredEvent, InboundEvent)] == [0, 0, 0]


def test_a_key_makes_it_one_answer(simulate, api):
    def played():
        return simulate(client=api).json()["began_at"]

    api.credentials(**api._credentials, HTTP_IDEMPOTENCY_KEY="one")

    assert played() == played()


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"outcomes": {"call": {"branch": "sideways"}}}, "outcomes.call.branch"),
        ({"outcomes": {"call": {"after": "soon"}}}, "outcomes.call.after"),
        ({"outcomes": {"call": {"after": "999999w"}}}, "outcomes.call.after"),
        ({"outcomes": {"call": 1}}, "outcomes.call"),
        ({"events": [{"event_type": "x", "after": "-2h"}]}, "events.0.after"),
        ({"events": [{"data": {}}]}, "events.0.event_type"),
        ({"events": [{"event_type": "x", "whenever": True}]}, "events.0.whenever"),
        ({"events": {}}, "events"),
        ({"participant": {"tags": "one"}}, "participant.tags"),
        ({"preferences": {"email": {"news": "yes"}}}, "preferences.email.news"),
        ({"consents": {"news": "perhaps"}}, "consents.news"),
        ({"entry": []}, "entry"),
        ({"entry_node": "nowhere"}, "entry_node"),
        ({"begins_at": "tomorrow"}, "begins_at"),
        ({"begin": 1}, "begin"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(simulate, body, attr):
    answer = simulate(**body)

    assert answer.status_code == 400
    assert [problem["attr"] for problem in answer.json()["errors"]] == [attr]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_ends_of_time_are_no_error_of_ours(simulate, moment):
    answer = simulate(begins_at=moment, events=[{"event_type": "x", "after": "520w"}])

    assert answer.status_code in (200, 400)


def test_another_tenants_version_is_not_there(simulate, client_of, other_tenant):
    answer = simulate(client=client_of(other_tenant))

    assert answer.status_code == 404
    assert codes(answer) == ["not_found"]


def test_a_version_that_does_not_exist_is_not_there(simulate):
    assert simulate(7).status_code == 404


def test_only_editors_try_things_out(simulate, client_of, tenant):
    assert simulate(client=client_of(tenant, "viewer")).status_code == 403
