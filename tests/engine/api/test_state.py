"""Any run at any point of its log, over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from tenants.models import Tenant
from tests.engine.api.conftest import codes
from tests.engine.test_replay import PLANTED, ada
from tests.engine.test_verify import tampered
from tests.support.passage import Passage

__all__ = ["ada"]

STATE = "/api/v1/instances/{instance_id}/state"


def test_at_a_number_at_a_time_and_now(api: APIClient, agree: Callable[..., Any], ada: Passage) -> None:
    def at(query: str) -> dict[str, Any]:
        answer = agree(api, "get", STATE, {"at": query} if query else None, instance_id=ada.id)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    assert at("")["status"] == at(str(ada.instance.sequence))["status"] == "completed"
    paused = at("5")
    assert (paused["status"], paused["sequence"], paused["last_sequence"]) == ("paused", 5, len(ada.events))
    assert paused["recorded_at"] == "2030-01-01T13:00:00Z"
    assert (paused["flow_name"], paused["version"]) == ("flow", 1)
    assert paused["context"] == {"entry": {"plan": "gold"}, "accumulated": paused["context"]["accumulated"]}
    assert [each["node_id"] for each in paused["current_nodes"]] == ["pause"]
    assert at("2030-01-01T13:30:00Z") == paused
    assert at("2030-01-01T14:30:00+01:00") == paused


@pytest.mark.parametrize("at", ["0", "999", "9" * 30, "-1", "yesterday", "2029-01-01T00:00:00Z", "0001-01-01T00:00+14"])
def test_a_bad_point_is_a_400(api: APIClient, agree: Callable[..., Any], ada: Passage, at: str) -> None:
    answer = agree(api, "get", STATE, {"at": at}, instance_id=ada.id)

    assert (answer.status_code, codes(answer)) == (400, ["invalid_moment"])
    assert answer.json()["errors"][0]["attr"] == "at"


def test_another_tenants_run_is_not_there(
    other_tenant: Tenant, client_of: Callable[..., APIClient], ada: Passage
) -> None:
    assert client_of(other_tenant).get(STATE.format(instance_id=ada.id)).status_code == 404
    assert client_of(other_tenant).get(STATE.format(instance_id=ada.id) + "?at=nothing").status_code == 404


def test_a_log_that_cannot_be_read_is_a_409(api: APIClient, agree: Callable[..., Any], ada: Passage) -> None:
    tampered(PLANTED, ada.id)

    answer = agree(api, "get", STATE, instance_id=ada.id)

    assert (answer.status_code, codes(answer)) == (409, ["unreadable_log"])
    assert answer.json()["sequence"] == len(ada.events)
    assert api.get(STATE.format(instance_id=ada.id) + "?at=5").json()["status"] == "paused"
