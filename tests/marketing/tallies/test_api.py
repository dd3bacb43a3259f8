"""Figures of messages and conversions over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from engine import clock
from engine.ports import Conversion as Reached
from marketing.conversions.recording import Conversions
from marketing.models import Delivery
from tenants.models import Tenant
from tests.support.graphs import chain
from tests.support.passage import Passage

FLOW = "/api/v1/flows/{flow_id}/analytics"
CONVERSIONS = "/api/v1/conversions"


@pytest.fixture
def run(passage: Callable[..., Passage]) -> Passage:
    """Three messages were made, one was skipped, one led to a conversion."""
    ada = passage(chain(1)).start()
    for status, reason in (("clicked", ""), ("sent", ""), ("skipped", "unsubscribed")):
        Delivery.objects.create(
            tenant_id=ada.flow.tenant_id, flow_id=ada.flow.pk, instance_id=ada.id, node_id="mail", key=str(uuid4()),
            participant_id="ada", channel="email", status=status, reason=reason, created_at=clock.now(),
            sent_at=clock.now() if status != "skipped" else None,
        )  # fmt: skip
    facts = {"value": "12.50", "currency": "EUR", "metadata": {"order": 7}}
    reached = Reached(str(ada.id), str(ada.flow.pk), 1, "ada", "bought", clock.now(), "last_send", facts)
    Conversions().record_many(str(ada.flow.tenant_id), [reached])
    return ada


def test_channels_are_told_in_figures(api: APIClient, agree: Callable[..., Any], run: Passage) -> None:
    of_flow = agree(api, "get", f"{FLOW}/channels", flow_id=str(run.flow.pk)).json()
    everywhere = agree(api, "get", "/api/v1/analytics/channels").json()

    assert of_flow == everywhere
    [mail] = [each for each in of_flow if each["channel"] == "email"]
    assert (mail["queued"], mail["sent"], mail["delivered"], mail["clicked"], mail["skipped"]) == (3, 2, 1, 1, 1)
    assert mail["skipped_by_reason"] == {"unsubscribed": 1}
    assert mail["rates"] == {"delivered": 0.5, "bounced": 0.0, "complained": 0.0, "opened": 1.0, "clicked": 1.0}
    assert all(each["queued"] == 0 for each in of_flow if each["channel"] != "email")


def test_messages_are_told_by_node_with_what_they_led_to(
    api: APIClient, agree: Callable[..., Any], run: Passage
) -> None:
    [mail] = agree(api, "get", f"{FLOW}/messages", flow_id=str(run.flow.pk)).json()

    assert (mail["node_id"], mail["channel"], mail["sent"], mail["conversions"]) == ("mail", "email", 2, 1)


def test_goals_are_told_with_their_worth(api: APIClient, agree: Callable[..., Any], run: Passage) -> None:
    [goal] = agree(api, "get", f"{FLOW}/conversions", flow_id=str(run.flow.pk)).json()

    assert goal == {
        "goal": "bought", "conversions": 1, "held_out": 0, "attributed": {"click": 0, "send": 1, "none": 0},
        "revenue": [{"currency": "EUR", "value": "12.5000"}], "variants": {},
    }  # fmt: skip


def test_conversions_are_listed(api: APIClient, agree: Callable[..., Any], run: Passage) -> None:
    [found] = agree(api, "get", CONVERSIONS).json()["results"]

    assert (found["name"], found["value"], found["currency"], found["attributed_by"]) == (
        "bought",
        "12.5000",
        "EUR",
        "send",
    )
    assert found["metadata"] == {"order": 7}
    assert len(api.get(CONVERSIONS, {"participant_id": "ada", "flow_id": str(run.flow.pk)}).json()["results"]) == 1
    assert api.get(CONVERSIONS, {"participant_id": "bob"}).json()["results"] == []


def attr(answer: Any) -> str:
    """The field that a refusal names."""
    assert answer.status_code == 400
    return str(answer.json()["errors"][0]["attr"])


def test_what_cannot_be_asked_is_named(api: APIClient, run: Passage) -> None:
    path = FLOW.format(flow_id=run.flow.pk)

    assert attr(api.get(f"{path}/channels", {"from": "2030-02-01", "to": "2030-01-01"})) == "from"
    assert attr(api.get("/api/v1/analytics/channels", {"flow_id": "x"})) == "flow_id"
    assert api.get(f"{path}/channels", {"since": "2030-01-01"}).status_code == 400
    assert api.get("/api/v1/analytics/channels", {"node_id": "a\0b"}).status_code == 400


def test_another_tenant_sees_nothing(run: Passage, other_tenant: Tenant, client_of: Callable[..., APIClient]) -> None:
    other = client_of(other_tenant)
    path = FLOW.format(flow_id=run.flow.pk)

    assert [other.get(f"{path}/{name}").status_code for name in ("channels", "messages", "conversions")] == [404] * 3
    seen = other.get("/api/v1/analytics/channels", {"flow_id": str(run.flow.pk)}).json()
    assert not any(each["queued"] for each in seen)
    assert other.get(CONVERSIONS).json()["results"] == []
