"""Segments over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from engine.models import InboundEvent
from marketing.models import Customer, Segment
from marketing.segments import due
from tenants.models import Role, Tenant
from tests.engine.api.conftest import codes

ALL = "/api/v1/segments"
ONE = "/api/v1/segments/{segment_id}"
MEMBERS = "/api/v1/segments/{segment_id}/members"
MEMBER = "/api/v1/segments/{segment_id}/members/{external_id}"
PREVIEW = "/api/v1/segments/preview"
EVALUATE = "/api/v1/segments/{segment_id}/evaluate"
IS_PRO = {"path": "participant.plan", "op": "eq", "value": "pro"}


def test_make_show_change_delete(api: APIClient, agree: Callable[..., Any], customer: Callable[..., Customer]) -> None:
    customer("ada", properties={"plan": "pro"}, email="ada@example.org")
    made = agree(api, "post", ALL, {"slug": "pros", "name": "Pros", "rule": IS_PRO})
    assert made.status_code == 201
    body = made.json()
    assert (body["type"], body["rule"], body["member_count"], body["evaluated_at"]) == ("dynamic", IS_PRO, 0, None)

    due.run(5.0)
    shown = agree(api, "get", ONE, segment_id=body["id"]).json()
    assert (shown["member_count"], shown["evaluated_at"]) == (1, "2030-01-01T12:00:00Z")
    assert agree(api, "get", ONE, segment_id="pros").json() == shown
    assert agree(api, "get", ALL).json()["results"] == [shown]
    (member,) = agree(api, "get", MEMBERS, segment_id="pros").json()["results"]
    assert member == {
        "external_id": "ada", "email": "ada@example.org", "name": "", "since": "2030-01-01T12:00:00Z"
    }  # fmt: skip

    changed = agree(api, "patch", ONE, {"name": "Not pros", "rule": {"not": IS_PRO}}, segment_id=body["id"]).json()
    due.run(5.0)
    assert (changed["name"], changed["slug"]) == ("Not pros", "pros")
    assert agree(api, "get", MEMBERS, segment_id="pros").json()["results"] == []
    replaced = agree(api, "put", ONE, {"name": "Pros", "rule": IS_PRO}, segment_id="pros").json()
    assert (replaced["name"], replaced["rule"]) == ("Pros", IS_PRO)
    assert agree(api, "post", EVALUATE, segment_id="pros").status_code == 202
    assert agree(api, "delete", ONE, segment_id="pros").status_code == 204
    assert not Segment.objects.exists()


def test_a_rule_is_tried_without_a_segment(
    api: APIClient, agree: Callable[..., Any], customer: Callable[..., Customer], other_tenant: Tenant
) -> None:
    customer("ada", properties={"plan": "pro"}, tags=["vip"])
    customer("bob", properties={"plan": "pro"})
    customer("eve", properties={"plan": "pro"}, tags=["vip"], tenant=other_tenant)
    rule = {"all": [IS_PRO, {"path": "participant.tags", "op": "contains", "value": "vip"}]}

    assert agree(api, "post", PREVIEW, {"rule": rule}).json() == {"count": 1, "sample": ["ada"]}
    assert agree(api, "post", PREVIEW, {"rule": {}}).json() == {"count": 2, "sample": ["bob", "ada"]}
    assert agree(api, "post", PREVIEW, {"rule": {"event": "x", "did": False}}).json()["count"] == 2


@pytest.mark.parametrize(
    ("rule", "attr"),
    [
        ({"path": "entry.plan", "op": "eq", "value": 1}, "rule.path"),
        ({"path": "participant", "op": "exists"}, "rule.path"),
        ({"path": "participant.a.-1", "op": "exists"}, "rule.path"),
        ({"path": "participant.plan", "op": "is", "value": 1}, "rule.op"),
        ({"path": "participant.plan", "op": "matches", "value": "a.*"}, "rule.op"),
        ({"path": "participant.plan", "op": "eq", "value": {"ref": "participant.x"}}, "rule.value"),
        ({"path": "participant.plan", "op": "in", "value": [{"ref": "now"}]}, "rule.value"),
        ({"all": [{"any": [{"event": ""}]}]}, "rule.all.0.any.0.event"),
        ({"event": "bought", "within": "30 days"}, "rule.within"),
        ({"event": "bought", "times": {"at_leest": 1}}, "rule.times.at_leest"),
        ({"event": "bought", "times": {"at_least": 2, "at_most": 1}}, "rule.times.at_most"),
        ({"event": "bought", "times": {"exactly": True}}, "rule.times.exactly"),
        ({"event": "bought", "times": {"exactly": 1, "at_least": 1}}, "rule.times.exactly"),
        ({"event": "bought", "did": "no"}, "rule.did"),
        ({"event": "bought", "where": {"path": "participant.x", "op": "exists"}}, "rule.where.path"),
        ({"event": "bought", "where": {"event": "seen"}}, "rule.where.event"),
        ({"event": "bought", "where": {"path": "event.at", "op": "within", "value": "3d"}}, "rule.where.op"),
        ({"event": "bought", "withn": "3d"}, "rule.withn"),
        ([], "rule"),
        ("everybody", "rule"),
        ({"any": [{"path": "participant.x", "op": "exists"}] * 101}, "rule"),
    ],
)
def test_a_mistake_in_a_rule_is_named_by_its_place(api: APIClient, rule: Any, attr: str) -> None:
    for answer in (api.post(PREVIEW, {"rule": rule}), api.post(ALL, {"slug": "x", "rule": rule})):
        assert answer.status_code == 400, answer.json()
        assert [each["attr"] for each in answer.json()["errors"]] == [attr]
    assert not Segment.objects.exists()


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"slug": "x"}, "rule"),
        ({"slug": "x", "rule": None}, "rule"),
        ({"rule": IS_PRO}, "slug"),
        ({"slug": "a b", "rule": IS_PRO}, "slug"),
        ({"slug": "x", "rule": IS_PRO, "type": "static"}, "rule"),
        ({"slug": "x", "rule": IS_PRO, "type": "vague"}, "type"),
        ({"slug": "x", "rule": IS_PRO, "members": []}, "members"),
    ],
)
def test_bad_input_is_named(api: APIClient, body: dict[str, Any], attr: str) -> None:
    answer = api.post(ALL, body)

    assert answer.status_code == 400
    assert [each["attr"] for each in answer.json()["errors"]] == [attr]


def test_a_slug_is_taken_once(api: APIClient) -> None:
    assert api.post(ALL, {"slug": "x", "rule": {}}).status_code == 201
    assert api.post(ALL, {"slug": "x", "rule": {}}).status_code == 409
    assert api.patch(ONE.format(segment_id="x"), {"slug": "y"}).status_code == 400


def test_members_of_a_static_segment_are_put_in_and_taken_out_and_each_is_told(
    api: APIClient, agree: Callable[..., Any], customer: Callable[..., Customer]
) -> None:
    customer("ada@example.org")
    made = agree(api, "post", ALL, {"slug": "beta", "type": "static"}).json()
    ada = {"segment_id": "beta", "external_id": "ada@example.org"}

    for _ in range(2):
        assert agree(api, "put", MEMBER, **ada).status_code == 204
    assert agree(api, "get", ONE, segment_id=made["id"]).json()["member_count"] == 1
    for _ in range(2):
        assert agree(api, "delete", MEMBER, **ada).status_code == 204
    assert agree(api, "get", ONE, segment_id=made["id"]).json()["member_count"] == 0
    told = InboundEvent.objects.order_by("id").values_list("event_type", "participant_id", "data__segment_id")
    assert sorted(told) == [
        ("segment.entered", "ada@example.org", "beta"),
        ("segment.left", "ada@example.org", "beta"),
    ]
    assert agree(api, "put", MEMBER, segment_id="beta", external_id="nobody").status_code == 404
    assert codes(api.post(EVALUATE.format(segment_id="beta"))) == ["segment_is_static"]


def test_nobody_is_put_into_a_dynamic_segment_by_hand(api: APIClient, customer: Callable[..., Customer]) -> None:
    customer("ada")
    api.post(ALL, {"slug": "pros", "rule": IS_PRO})

    answer = api.put(MEMBER.format(segment_id="pros", external_id="ada"))

    assert (answer.status_code, codes(answer)) == (409, ["segment_is_dynamic"])


def test_another_tenants_segment_is_not_there(
    api: APIClient, other_tenant: Tenant, client_of: Callable[..., APIClient]
) -> None:
    theirs = client_of(other_tenant)
    key = theirs.post(ALL, {"slug": "pros", "rule": IS_PRO}).json()["id"]

    for name in (key, "pros"):
        assert api.get(ONE.format(segment_id=name)).status_code == 404
        assert api.patch(ONE.format(segment_id=name), {"name": "x"}).status_code == 404
        assert api.get(MEMBERS.format(segment_id=name)).status_code == 404
        assert api.delete(ONE.format(segment_id=name)).status_code == 404
        assert api.post(EVALUATE.format(segment_id=name)).status_code == 404
    assert api.get(ALL).json()["results"] == []
    assert theirs.get(ONE.format(segment_id="pros")).status_code == 200


def test_a_viewer_reads_only(tenant: Tenant, api: APIClient, client_of: Callable[..., APIClient]) -> None:
    api.post(ALL, {"slug": "pros", "rule": IS_PRO})
    viewer = client_of(tenant, Role.VIEWER)

    assert viewer.get(ONE.format(segment_id="pros")).status_code == 200
    assert viewer.delete(ONE.format(segment_id="pros")).status_code == 403


def test_a_page_of_members_is_read_by_an_index(
    api: APIClient, tenant: Tenant, customer: Callable[..., Customer]
) -> None:
    api.post(ALL, {"slug": "all", "rule": {}})
    customer("ada")
    due.run(5.0)

    with CaptureQueriesContext(connection) as queries:
        assert api.get(MEMBERS.format(segment_id="all")).status_code == 200
    (page,) = [each["sql"] for each in queries if 'FROM "segment_members"' in each["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("SET enable_sort = off")
        cursor.execute(f"EXPLAIN {page}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
        cursor.execute("RESET enable_sort")
    assert "segment_member_list" in plan
