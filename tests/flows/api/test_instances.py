"""Instances over HTTP, read only."""

from datetime import timedelta

import pytest

from flows import lifecycle, publishing, versions
from tests.flows.conftest import NOON
from tests.flows.graphs import line

URL = "/api/v1/instances"
TOKEN = {
    "node_id": "pause",
    "node_type": "wait",
    "status": "running",
    "since": "2030-01-01T12:00:00Z",
    "step": "0193",
    "attempt": 1,
    "waiting_for": {"event_types": [], "until": "2030-01-02T12:00:00Z"},
    "activity": None,
    "wake": None,
}


@pytest.fixture
def active(flow):
    return lifecycle.activate(flow)


def participants(response):
    return [each["participant_id"] for each in response.json()["results"]]


def test_an_instance_is_shown_with_its_steps_in_order(api, active, instance_of, step_of):
    instance = instance_of(
        active,
        status="waiting",
        current_nodes=[TOKEN],
        context={"entry": {"plan": "trial"}, "accumulated": {"entry": {}}, "outcomes": {"entry": None}},
    )
    second, first = step_of(instance, 2, status="waiting", completed_at=None), step_of(instance, 1, output={"a": 1})

    shown = api.get(f"{URL}/{instance.pk}").json()

    steps = shown.pop("steps")
    assert shown == {
        "id": str(instance.pk),
        "flow_id": str(active.pk),
        "flow_name": "Onboarding",
        "version": 1,
        "participant_id": "ada",
        "correlation_key": None,
        "status": "waiting",
        "exit_reason": None,
        "error": None,
        "current_nodes": [{name: TOKEN[name] for name in ("node_id", "node_type", "status", "since", "waiting_for")}],
        "context": {"entry": {"plan": "trial"}, "accumulated": {"entry": {}}},
        "migrated_from_version": None,
        "migrated_at": None,
        "entered_at": "2030-01-01T12:00:00Z",
        "updated_at": "2030-01-01T12:00:00Z",
        "completed_at": None,
        "exited_at": None,
    }
    assert [step["id"] for step in steps] == [str(first.pk), str(second.pk)]
    assert steps[0] == {
        "id": str(first.pk),
        "node_id": "n1",
        "node_type": "wait",
        "version": 1,
        "attempt": 1,
        "status": "completed",
        "branch": None,
        "input": None,
        "output": {"a": 1},
        "error": None,
        "started_at": "2030-01-01T12:00:00Z",
        "completed_at": "2030-01-01T12:00:00Z",
    }


def test_a_failed_instance_says_why(api, active, instance_of):
    error = {"code": "no_edge", "detail": "No edge.", "node_id": "pause"}
    instance = instance_of(active, status="failed", error=error)

    assert api.get(f"{URL}/{instance.pk}").json()["error"] == error


def test_instances_are_found_by_what_they_are(api, tenant, active, instance_of):
    other = lifecycle.activate(lifecycle.create(tenant, "Other", graph=line()))
    ada = instance_of(active, "ada", status="waiting", current_nodes=[TOKEN])
    instance_of(active, "bob", entered_at=NOON + timedelta(days=1))
    instance_of(active, "cy", status="completed", completed_at=NOON)
    publishing.publish(versions.create_draft(active, line("more")))
    active.refresh_from_db()
    instance_of(active, "dan")
    instance_of(other, "ada", exited_at=NOON, status="exited")

    def found(**filters):
        return participants(api.get(URL, filters))

    assert found() == ["bob", "ada", "dan", "cy", "ada"]
    assert found(status="waiting,completed") == ["cy", "ada"]
    assert found(participant_id="ada") == ["ada", "ada"]
    assert found(participant_id="ada", status="waiting") == ["ada"]
    assert found(version=2) == ["dan"]
    assert found(flow_id=str(other.pk)) == ["ada"]
    assert found(node_id="pause") == ["ada"]
    assert found(entered_after="2030-01-01T12:00:00Z") == ["bob"]
    assert found(entered_before="2030-01-01T12:00:00+00:00") == []
    below = f"/api/v1/flows/{active.pk}/instances"
    assert participants(api.get(below)) == ["bob", "dan", "cy", "ada"]
    assert participants(api.get(below, {"flow_id": str(other.pk)})) == []
    assert participants(api.get(below, {"status": "waiting"})) == ["ada"]
    assert api.get(f"{URL}/{ada.pk}").json()["current_nodes"][0]["node_id"] == "pause"


@pytest.mark.parametrize(
    "filters",
    [
        {"status": "waiting,asleep"},
        {"status": ""},
        {"version": "x"},
        {"version": 0},
        {"flow_id": "x"},
        {"entered_after": "yesterday"},
        {"entered_before": "9999-99-99"},
        {"participant": "ada"},
        {"page_size": "all"},
        {"participant_id": "a\0"},
    ],
)
@pytest.mark.parametrize("path", [URL, "/api/v1/flows/{flow}/instances"])
def test_a_filter_that_is_not_one_is_refused(api, active, path, filters):
    response = api.get(path.format(flow=active.pk), filters)

    assert response.status_code == 400
    assert response.json()["errors"][0]["attr"] == next(iter(filters))


def test_a_huge_version_finds_nobody(api, active, instance_of):
    instance_of(active)

    assert participants(api.get(URL, {"version": "9" * 25})) == []


def test_pages_lead_on_and_back_without_gaps(api, active, instance_of):
    for number in range(5):
        instance_of(active, f"p{number}")

    first = api.get(URL, {"page_size": 2})
    second = api.get(first.json()["next"])
    instance_of(active, "late")
    third = api.get(second.json()["next"])
    back = api.get(third.json()["previous"])

    assert participants(first) + participants(second) + participants(third) == ["p4", "p3", "p2", "p1", "p0"]
    assert participants(back) == participants(second)


def test_another_tenants_instances_are_not_there(client_of, other_tenant, active, instance_of):
    instance = instance_of(active)
    stranger = client_of(other_tenant)

    assert participants(stranger.get(URL)) == []
    assert participants(stranger.get(URL, {"participant_id": "ada"})) == []
    assert stranger.get(f"{URL}/{instance.pk}").status_code == 404
    assert stranger.get(f"/api/v1/flows/{active.pk}/instances").status_code == 404
    assert stranger.get(URL, {"flow_id": str(active.pk)}).json()["results"] == []


@pytest.mark.parametrize("bad", ["x", "0193", "00000000-0000-0000-0000-000000000000"])
def test_an_unknown_instance_is_not_there(api, bad):
    assert api.get(f"{URL}/{bad}").status_code == 404


def test_reads_take_the_same_statements_however_many_there_are(
    api, active, instance_of, step_of, django_assert_num_queries
):
    for number in range(10):
        instance = instance_of(active, f"p{number}", current_nodes=[TOKEN])
    for n in range(1, 6):
        step_of(instance, n)
    api.get(URL)

    with django_assert_num_queries(1):
        api.get(URL)
    with django_assert_num_queries(2):
        api.get(f"/api/v1/flows/{active.pk}/instances")
    with django_assert_num_queries(2):
        api.get(f"{URL}/{instance.pk}")


def test_instances_are_not_written_here(api, active, instance_of):
    instance = instance_of(active)

    assert api.post(URL, {}).status_code == 405
    assert api.delete(f"{URL}/{instance.pk}").status_code == 405
