"""Acts on many over REST, and repairs of side effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from engine import jobs
from engine.models import Activity, JobTarget
from engine.nodes import registry
from flows.models import FlowInstance
from tenants.models import Tenant
from tests.engine.api.conftest import codes
from tests.engine.operating import Effect, waiting, with_effect
from tests.engine.test_jobs import park
from tests.support.passage import Passage

BULK = "/api/v1/instances/bulk"


@pytest.fixture(autouse=True)
def nodes(own_registry: None) -> None:
    registry.register(Effect)


@pytest.fixture
def ada(passage: Callable[..., Passage]) -> Passage:
    return passage(waiting()).start()


@pytest.fixture
def parked(passage: Callable[..., Passage]) -> Activity:
    passage(with_effect(), "bob").start()
    park()
    return Activity.objects.get()


def test_by_filters(api: APIClient, agree: Callable[..., Any], ada: Passage) -> None:
    Passage(ada.flow, "eve").start()
    body = {"action": "cancel", "status": "waiting,paused", "participant_id": "ada", "reason": "asked"}

    asked = agree(api, "post", BULK, body)
    assert (asked.status_code, asked.json()["matched"]) == (202, 1)
    one = {"job_id": asked.json()["job_id"]}
    assert agree(api, "get", "/api/v1/jobs/{job_id}", **one).json()["status"] == "queued"

    jobs.run_jobs(10.0)

    done = agree(api, "get", "/api/v1/jobs/{job_id}", **one).json()
    assert (done["kind"], done["status"], done["done"], done["succeeded"]) == ("instances", "completed", 1, 1)
    assert ada.status == "exited"
    assert FlowInstance.objects.filter(status="waiting").count() == 1


def test_by_ids(api: APIClient, agree: Callable[..., Any], ada: Passage) -> None:
    asked = agree(api, "post", BULK, {"action": "retry", "ids": [str(ada.id)]})
    jobs.run_jobs(10.0)

    job = agree(api, "get", "/api/v1/jobs/{job_id}", job_id=asked.json()["job_id"]).json()
    assert [(each["id"], each["code"]) for each in job["errors"]] == [(str(ada.id), "invalid_transition")]


@pytest.mark.parametrize("body", [{"flow_id": 5}, {"ids": [5]}, {"ids": [True]}])
def test_a_number_is_no_id(api: APIClient, ada: Passage, body: dict[str, Any]) -> None:
    answer = api.post(BULK, {"action": "cancel", **body})

    assert (answer.status_code, codes(answer)) == (400, ["invalid"])


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"reason": "all of them"}])
def test_nothing_chosen(api: APIClient, ada: Passage, body: dict[str, Any]) -> None:
    answer = api.post(BULK, {"action": "cancel", **body})

    assert (answer.status_code, codes(answer)) == (400, ["nothing_chosen"])


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"action": "explode", "participant_id": "ada"}, "action"),
        ({"action": "cancel", "participant": "ada"}, "participant"),
        ({"action": "cancel", "status": "wating"}, "status"),
        ({"action": "cancel", "status": ["waiting"]}, "status"),
        ({"action": "cancel", "status": 5}, "status"),
        ({"action": "cancel", "ids": ["x"]}, "ids.0"),
        ({"action": "cancel", "version": "1"}, "version"),
    ],
)
def test_bad_input_is_named(api: APIClient, ada: Passage, body: dict[str, Any], attr: str) -> None:
    answer = api.post(BULK, body)

    assert answer.status_code == 400
    assert [each["attr"] for each in answer.json()["errors"]] == [attr]


def test_another_tenants_runs_do_not_match(
    client_of: Callable[..., APIClient], other_tenant: Tenant, ada: Passage
) -> None:
    stranger = client_of(other_tenant)

    assert stranger.post(BULK, {"action": "cancel", "ids": [str(ada.id)]}).json()["matched"] == 0
    assert stranger.post(BULK, {"action": "cancel", "status": "waiting"}).json()["matched"] == 0
    assert not JobTarget.objects.exists()


def test_a_job_is_cancelled_once(api: APIClient, agree: Callable[..., Any], ada: Passage) -> None:
    job = api.post(BULK, {"action": "cancel", "ids": [str(ada.id)]}).json()["job_id"]

    answer = agree(api, "post", "/api/v1/jobs/{job_id}/cancel", {}, job_id=job)

    assert answer.json()["status"] == "cancelled"
    assert codes(api.post(f"/api/v1/jobs/{job}/cancel", {})) == ["invalid_transition"]


def test_another_tenants_job_is_not_there(
    api: APIClient, client_of: Callable[..., APIClient], other_tenant: Tenant, ada: Passage
) -> None:
    job = api.post(BULK, {"action": "cancel", "ids": [str(ada.id)]}).json()["job_id"]

    assert client_of(other_tenant).get(f"/api/v1/jobs/{job}").status_code == 404
    assert client_of(other_tenant).post(f"/api/v1/jobs/{job}/cancel", {}).status_code == 404


def test_side_effects_are_listed(api: APIClient, agree: Callable[..., Any], parked: Activity) -> None:
    agree(api, "get", "/api/v1/activities")
    listed = api.get("/api/v1/activities?status=parked,running").json()["results"]

    assert [each["id"] for each in listed] == [str(parked.pk)]
    assert api.get("/api/v1/activities?status=pending").json()["results"] == []
    assert codes(api.get("/api/v1/activities?state=parked")) == ["unknown_parameter"]


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [("retry", {}, "pending"), ("complete", {"result": {"ok": 1}}, "completed"), ("fail", {"reason": "no"}, "failed")],
)
def test_side_effects_are_repaired(
    api: APIClient, agree: Callable[..., Any], parked: Activity, verb: str, body: dict[str, Any], status: str
) -> None:
    template = f"/api/v1/activities/{{activity_id}}/{verb}"

    assert agree(api, "post", template, body, activity_id=str(parked.pk)).json()["status"] == status
    again = api.post(f"/api/v1/activities/{parked.pk}/{verb}", body)
    assert (again.status_code, codes(again)) == (409, ["invalid_transition"])


def test_a_side_effect_is_not_completed_by_a_branch_it_lacks(api: APIClient, parked: Activity) -> None:
    refused = api.post(f"/api/v1/activities/{parked.pk}/complete", {"branch": "sideways"})

    assert (refused.status_code, codes(refused)) == (400, ["invalid_choice"])
    assert refused.json()["errors"][0]["attr"] == "branch"
    parked.refresh_from_db()
    assert parked.status == "parked"


def test_many_side_effects(api: APIClient, agree: Callable[..., Any], parked: Activity) -> None:
    body = {"action": "complete", "status": "parked", "result": {"ok": True}}

    assert agree(api, "post", "/api/v1/activities/bulk", body).json()["matched"] == 1
    jobs.run_jobs(10.0)

    parked.refresh_from_db()
    assert parked.status == "completed"
    assert codes(api.post("/api/v1/activities/bulk", {"action": "retry"})) == ["nothing_chosen"]


def test_another_tenants_side_effects(
    client_of: Callable[..., APIClient], other_tenant: Tenant, parked: Activity
) -> None:
    stranger = client_of(other_tenant)

    assert stranger.get("/api/v1/activities").json()["results"] == []
    assert stranger.post(f"/api/v1/activities/{parked.pk}/retry", {}).status_code == 404
    assert stranger.post("/api/v1/activities/bulk", {"action": "fail", "ids": [str(parked.pk)]}).json()["matched"] == 0
