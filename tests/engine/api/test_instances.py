"""What operators ask and do over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from engine import operations, triggers
from engine.nodes import registry
from tenants.models import Tenant
from tests.engine.api.conftest import codes
from tests.engine.operating import BROKEN, Effect, Fragile, breaking, waiting
from tests.support.passage import Passage

ONE = "/api/v1/instances/{instance_id}"


@pytest.fixture(autouse=True)
def nodes(own_registry: None) -> None:
    BROKEN["is"] = True
    registry.register(Fragile)
    registry.register(Effect)


@pytest.fixture
def ada(passage: Callable[..., Passage]) -> Passage:
    return passage(waiting()).start()


def test_pause_resume_cancel(api: APIClient, agree: Callable[..., Any], ada: Passage) -> None:
    for verb, status in (("pause", "paused"), ("resume", "waiting"), ("cancel", "exited")):
        answer = agree(api, "post", f"{ONE}/{verb}", {"reason": "asked"}, instance_id=ada.id)
        assert (answer.status_code, answer.json()["status"]) == (200, status)
    assert answer.json()["exit_reason"] == "cancelled_by_operator"
    assert ada.events[-1].metadata["actor"]


def test_a_verb_without_a_body(api: APIClient, ada: Passage) -> None:
    assert api.post(f"/api/v1/instances/{ada.id}/pause").status_code == 200


def test_retry(api: APIClient, agree: Callable[..., Any], passage: Callable[..., Passage]) -> None:
    bob = passage(breaking(), "bob").start()
    (stands,) = agree(api, "get", ONE, instance_id=bob.id).json()["current_nodes"]
    assert stands["status"] == "failed"

    answer = agree(api, "post", f"{ONE}/retry", {}, instance_id=bob.id)

    assert (answer.status_code, answer.json()["status"]) == (200, "running")


def test_retry_beside_a_live_run_names_it(api: APIClient, passage: Callable[..., Passage]) -> None:
    bob = passage(breaking(), "bob").start()
    BROKEN["is"] = False
    second = Passage(bob.flow, "bob").start()
    BROKEN["is"] = True
    third = Passage(bob.flow, "bob").start()
    operations.retry(third.id)

    answer = api.post(f"/api/v1/instances/{bob.id}/retry", {})

    assert (answer.status_code, codes(answer)) == (409, ["already_in_flow"])
    assert answer.json()["instance_id"] == str(third.id)
    assert second.status == "completed"


def test_compensate(api: APIClient, agree: Callable[..., Any], passage: Callable[..., Passage]) -> None:
    bob = passage(breaking(), "bob").start()

    answer = agree(api, "post", f"{ONE}/compensate", {"reason": "asked"}, instance_id=bob.id)

    assert (answer.status_code, answer.json()["status"]) == (200, "compensated")
    again = agree(api, "post", f"{ONE}/compensate", {}, instance_id=bob.id)
    assert (again.status_code, codes(again)) == (409, ["invalid_transition"])
    reasons = agree(api, "get", f"{ONE}/why", instance_id=bob.id).json()
    assert [each["code"] for each in reasons["causes"]] == ["compensated"]


def test_compensate_beside_a_live_run_names_it(api: APIClient, passage: Callable[..., Passage]) -> None:
    bob = passage(breaking(), "bob").start()
    second = passage(bob.flow, "bob")
    BROKEN["is"] = False
    second.id = triggers.start(bob.flow, "bob").pk

    answer = api.post(f"/api/v1/instances/{bob.id}/compensate", {})

    assert (answer.status_code, codes(answer)) == (409, ["already_in_flow"])
    assert answer.json()["instance_id"] == str(second.id)


@pytest.mark.parametrize("verb", ["resume", "retry", "compensate"])
def test_a_verb_that_does_not_fit_says_what_the_run_is(api: APIClient, ada: Passage, verb: str) -> None:
    answer = api.post(f"/api/v1/instances/{ada.id}/{verb}", {})

    assert (answer.status_code, codes(answer)) == (409, ["invalid_transition"])
    assert "waiting" in answer.json()["errors"][0]["detail"]


def test_timeline_events_and_why(api: APIClient, agree: Callable[..., Any], ada: Passage) -> None:
    told = agree(api, "get", f"{ONE}/timeline", instance_id=ada.id).json()["results"]
    assert [each["kind"] for each in told] == ["entered", "node_completed", "waiting"]

    events = agree(api, "get", f"{ONE}/events", instance_id=ada.id).json()["results"]
    assert [each["sequence"] for each in events] == [1, 2, 3, 4]

    reasons = agree(api, "get", f"{ONE}/why", instance_id=ada.id).json()
    assert [each["code"] for each in reasons["causes"]] == ["waiting_for_time"]


def test_the_timeline_has_pages(api: APIClient, ada: Passage) -> None:
    page = api.get(f"/api/v1/instances/{ada.id}/timeline?page_size=2").json()
    rest = api.get(page["next"]).json()

    assert [len(page["results"]), len(rest["results"]), rest["next"]] == [2, 1, None]


def test_unknown_filters_and_fields(api: APIClient, ada: Passage) -> None:
    assert codes(api.get(f"/api/v1/instances/{ada.id}/timeline?kind=x")) == ["unknown_parameter"]
    assert codes(api.post(f"/api/v1/instances/{ada.id}/cancel", {"why": "x"})) == ["unknown_field"]


@pytest.mark.parametrize("what", ["timeline", "events", "why"])
def test_another_tenants_run_is_not_there(
    other_tenant: Tenant, client_of: Callable[..., APIClient], ada: Passage, what: str
) -> None:
    assert client_of(other_tenant).get(f"/api/v1/instances/{ada.id}/{what}").status_code == 404


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "retry", "compensate"])
def test_another_tenants_run_cannot_be_touched(
    other_tenant: Tenant, client_of: Callable[..., APIClient], ada: Passage, verb: str
) -> None:
    assert client_of(other_tenant).post(f"/api/v1/instances/{ada.id}/{verb}", {}).status_code == 404
    assert ada.status == "waiting"


def test_a_viewer_looks_only(tenant: Tenant, client_of: Callable[..., APIClient], ada: Passage) -> None:
    viewer = client_of(tenant, "viewer")

    assert viewer.get(f"/api/v1/instances/{ada.id}/why").status_code == 200
    assert viewer.post(f"/api/v1/instances/{ada.id}/cancel", {}).status_code == 403
