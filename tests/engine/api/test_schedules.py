"""Schedules over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from engine.models import FlowSchedule
from flows.models import Flow
from tenants.models import Tenant
from tests.engine.operating import waiting

MADE = {"kind": "cron", "cron": "0 9 * * MON", "timezone": "Europe/Berlin", "participants": ["ada"]}
OF_FLOW = "/api/v1/flows/{flow_id}/schedules"
ONE = "/api/v1/schedules/{schedule_id}"


@pytest.fixture
def flow(flow_of: Callable[..., Flow]) -> Flow:
    return flow_of(waiting())


def test_make_show_change_delete(api: APIClient, agree: Callable[..., Any], flow: Flow) -> None:
    made = agree(api, "post", OF_FLOW, MADE, flow_id=str(flow.pk))
    assert made.status_code == 201
    assert made.json()["next_at"] == "2030-01-07T08:00:00Z"
    one = {"schedule_id": made.json()["id"]}

    assert agree(api, "get", ONE, **one).json() == made.json()
    changed = agree(api, "patch", ONE, {"kind": "interval", "cron": None, "every": "1d"}, **one)
    assert (changed.json()["cron"], changed.json()["next_at"]) == (None, "2030-01-02T12:00:00Z")
    assert len(agree(api, "get", OF_FLOW, flow_id=str(flow.pk)).json()["results"]) == 1
    assert agree(api, "delete", ONE, **one).status_code == 204
    assert not FlowSchedule.objects.exists()


@pytest.mark.parametrize(
    ("change", "attr"),
    [
        ({"kind": "hourly"}, "kind"),
        ({"cron": "every monday"}, "cron"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"participants": [""]}, "participants.0"),
        ({"participants": [" "]}, "participants.0"),
        ({"kind": "once", "at": "2031-01-01T09:00:00"}, "at"),
        ({"participants": []}, "participants"),
        ({"audience": "nobody", "participants": []}, "audience"),
        ({"at": "yesterday"}, "at"),
        ({"corn": "0 9 * * *"}, "corn"),
        ({"context": [1]}, "context"),
    ],
)
def test_bad_input_is_named(api: APIClient, flow: Flow, change: dict[str, Any], attr: str) -> None:
    answer = api.post(OF_FLOW.format(flow_id=flow.pk), {**MADE, **change})

    assert answer.status_code == 400
    assert [each["attr"] for each in answer.json()["errors"]] == [attr]


def test_a_refused_change_changes_nothing(api: APIClient, flow: Flow) -> None:
    made = api.post(OF_FLOW.format(flow_id=flow.pk), MADE).json()

    assert api.patch(ONE.format(schedule_id=made["id"]), {"cron": "bad"}).status_code == 400
    assert api.get(ONE.format(schedule_id=made["id"])).json() == made


def test_another_tenants_schedules(
    api: APIClient, client_of: Callable[..., APIClient], other_tenant: Tenant, flow: Flow
) -> None:
    made = api.post(OF_FLOW.format(flow_id=flow.pk), MADE).json()
    stranger, one = client_of(other_tenant), ONE.format(schedule_id=made["id"])

    assert stranger.get(OF_FLOW.format(flow_id=flow.pk)).status_code == 404
    assert stranger.post(OF_FLOW.format(flow_id=flow.pk), MADE).status_code == 404
    answers = [stranger.get(one), stranger.patch(one, {"enabled": False}), stranger.delete(one)]
    assert [each.status_code for each in answers] == [404, 404, 404]
