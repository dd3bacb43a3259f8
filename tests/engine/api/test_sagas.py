"""Sagas over REST."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from rest_framework.test import APIClient

from engine.models import SagaRun, StoredEvent
from engine.sagas import registry
from engine.sagas.builder import Retry, SagaStep
from tenants.models import Tenant
from tests.engine.api.conftest import codes
from tests.engine.sagas import calls
from tests.engine.sagas.conftest import own_hands, work

__all__ = ["own_hands"]

SAGAS = "/api/v1/sagas"
ONE = "/api/v1/sagas/{saga_id}"
ONCE = Retry(attempts=1)


class Trip(BaseModel):
    """What a trip is booked with."""

    traveller: str
    fails: bool = False
    stays_failing: bool = False


def hopeless(*_: Any) -> None:
    """Fail to undo."""
    raise RuntimeError("nobody answers")


@pytest.fixture(autouse=True)
def book_trip() -> Iterator[None]:
    before = dict(registry._definitions)

    @registry.saga("book_trip", input=Trip)
    def build(trip: Trip) -> list[SagaStep]:
        last = calls.decline if trip.fails else calls.note
        undo = hopeless if trip.stays_failing else calls.undo
        return [
            SagaStep("flight", calls.note, undo, args=("flight",), retry=ONCE),
            SagaStep("hotel", last, calls.undo, args=("hotel",), after=("flight",), retry=ONCE),
        ]

    yield
    registry._definitions.clear()
    registry._definitions.update(before)


def test_a_saga_is_started_and_looked_at(api: APIClient, agree: Callable[..., Any]) -> None:
    body = {"definition": "book_trip", "saga_id": "trip-1", "input": {"traveller": "ada"}}
    started = agree(api, "post", SAGAS, body)
    assert (started.status_code, started.json()["saga_id"]) == (201, "trip-1")

    work()

    found = agree(api, "get", ONE, saga_id="trip-1").json()
    assert (found["state"], found["definition"], found["error"]) == ("COMPLETED", "book_trip", None)
    assert found["input"]["traveller"] == "ada"
    assert [(each["name"], each["state"], each["attempts"]) for each in found["steps"]] == [
        ("flight", "completed", 1),
        ("hotel", "completed", 1),
    ]
    assert set(found["results"]) == {"flight", "hotel"}


def test_a_failed_saga_shows_what_was_undone(api: APIClient, agree: Callable[..., Any]) -> None:
    name = api.post(SAGAS, {"definition": "book_trip", "input": {"traveller": "ada", "fails": True}}).json()["saga_id"]

    work()

    found = agree(api, "get", ONE, saga_id=name).json()
    assert found["state"] == "COMPENSATED"
    assert found["steps"][0]["compensation"]["state"] == "done"
    assert found["steps"][1]["state"] == "failed"
    assert found["error"]["detail"]


def test_a_stuck_saga_is_resumed(api: APIClient, agree: Callable[..., Any]) -> None:
    given = {"traveller": "ada", "fails": True, "stays_failing": True}
    api.post(SAGAS, {"definition": "book_trip", "saga_id": "t", "input": given})
    work()
    assert api.get(f"{SAGAS}/t").json()["state"] == "FAILED"

    assert agree(api, "post", f"{ONE}/resume", {}, saga_id="t").json()["state"] == "COMPENSATING"

    work()
    assert api.get(f"{SAGAS}/t").json()["error"]["code"] == "compensation_failed"


def test_a_saga_is_cancelled_once(api: APIClient, agree: Callable[..., Any]) -> None:
    api.post(SAGAS, {"definition": "book_trip", "saga_id": "t", "input": {"traveller": "ada"}})

    assert agree(api, "post", f"{ONE}/cancel", {"reason": "rain"}, saga_id="t").status_code == 200
    work()

    assert api.get(f"{SAGAS}/t").json()["state"] == "COMPENSATED"
    again = api.post(f"{SAGAS}/t/cancel", {})
    assert (again.status_code, codes(again)) == (409, ["saga_finished"])
    stuck = api.post(f"{SAGAS}/t/resume", {})
    assert (stuck.status_code, codes(stuck)) == (409, ["saga_not_stuck"])


def test_a_name_is_taken_once(api: APIClient) -> None:
    body = {"definition": "book_trip", "saga_id": "t", "input": {"traveller": "ada"}}
    assert api.post(SAGAS, body).status_code == 201

    again = api.post(SAGAS, body)

    assert (again.status_code, codes(again)) == (409, ["saga_exists"])


@pytest.mark.parametrize(
    ("change", "attr"),
    [
        ({"definition": "no_such"}, "definition"),
        ({"definition": None}, "definition"),
        ({"input": {}}, "input.traveller"),
        ({"input": {"traveller": 7}}, "input.traveller"),
        ({"input": []}, "input"),
        ({"saga_id": "a/b"}, "saga_id"),
        ({"saga_id": ".."}, "saga_id"),
        ({"saga_id": "x" * 256}, "saga_id"),
        ({"sagaid": "x"}, "sagaid"),
    ],
)
def test_bad_input_is_named(api: APIClient, change: dict[str, Any], attr: str) -> None:
    body = {"definition": "book_trip", "saga_id": "t", "input": {"traveller": "ada"}} | change

    answer = api.post(SAGAS, body)

    assert answer.status_code == 400
    assert [each["attr"] for each in answer.json()["errors"]] == [attr]
    assert not SagaRun.objects.exists()


def test_sagas_are_listed(api: APIClient, agree: Callable[..., Any]) -> None:
    for name in ("a", "b"):
        api.post(SAGAS, {"definition": "book_trip", "saga_id": name, "input": {"traveller": name}})

    agree(api, "get", SAGAS)
    assert [each["saga_id"] for each in api.get(f"{SAGAS}?page_size=1").json()["results"]] == ["b"]
    assert api.get(f"{SAGAS}?state=COMPLETED").json()["results"] == []
    assert len(api.get(f"{SAGAS}?definition=book_trip&state=RUNNING,PENDING").json()["results"]) == 2
    assert api.get(f"{SAGAS}?state=sleeping").status_code == 400
    assert codes(api.get(f"{SAGAS}?status=RUNNING")) == ["unknown_parameter"]


def test_another_tenants_saga_is_not_there(
    api: APIClient, client_of: Callable[..., APIClient], other_tenant: Tenant
) -> None:
    body = {"definition": "book_trip", "saga_id": "t", "input": {"traveller": "ada"}}
    api.post(SAGAS, body)
    stranger = client_of(other_tenant)

    assert stranger.get(f"{SAGAS}/t").status_code == 404
    assert stranger.post(f"{SAGAS}/t/cancel", {}).status_code == 404
    assert stranger.post(f"{SAGAS}/t/resume", {}).status_code == 404
    assert stranger.get(SAGAS).json()["results"] == []
    assert stranger.post(SAGAS, body).status_code == 201


def test_events_carry_the_id_of_the_request_that_caused_them(api: APIClient) -> None:
    body = {
        "definition": "book_trip",
        "saga_id": "t",
        "input": {"traveller": "ada", "fails": True, "stays_failing": True},
    }
    api.post(SAGAS, body, headers={"X-Request-Id": "start-1"})
    work()
    api.post(f"{SAGAS}/t/resume", headers={"X-Request-Id": "resume-1"})
    api.post(SAGAS, body | {"saga_id": "u"})
    api.post(f"{SAGAS}/u/cancel", headers={"X-Request-Id": "cancel-1"})

    for saga, kind, expected in (
        ("t", "saga_created", "start-1"),
        ("t", "saga_resumed", "resume-1"),
        ("u", "saga_ending", "cancel-1"),
    ):
        key = SagaRun.objects.get(name=saga).pk
        assert StoredEvent.objects.get(aggregate_id=key, type=kind).metadata["correlation_id"] == expected
