"""Journeys over REST."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from flows.models import Flow
from marketing.models import Journey, Segment
from tenants.models import Role, Tenant
from tests.engine.api.conftest import codes
from tests.engine.conftest import NOON, FakeClock
from tests.marketing.journeys.conftest import BY_EVENT, BY_SEGMENT, settle

ALL = "/api/v1/journeys"
ONE = "/api/v1/journeys/{journey_id}"
LAUNCH, PAUSE, RESUME, ARCHIVE = (f"{ONE}/{verb}" for verb in ("launch", "pause", "resume", "archive"))
FLOW = "/api/v1/flows/{flow_id}"
GOAL = {"name": "bought", "event_type": "ordered", "window": "7d"}
WEEKLY = {"kind": "cron", "cron": "0 9 * * MON", "timezone": "Europe/Berlin"}


def test_make_show_change_delete(api: APIClient, agree: Callable[..., Any], pros: Callable[..., Segment]) -> None:
    pros()
    made = agree(
        api, "post", ALL,
        {"name": "Win back", "graph": BY_EVENT, "goal": GOAL, "audience": {"segment": "pros"}, "tags": ["q1", "x"]},
    )  # fmt: skip
    assert made.status_code == 201
    body = made.json()
    assert {name: body[name] for name in ("status", "description", "goal", "audience", "schedule", "tags")} == {
        "status": "draft", "description": "", "goal": GOAL, "audience": {"segment": "pros"}, "schedule": None,
        "tags": ["q1", "x"],
    }  # fmt: skip
    flow = agree(api, "get", FLOW, flow_id=body["flow_id"]).json()
    assert (flow["name"], flow["status"], flow["latest_version"]) == ("Win back", "draft", 1)
    key = {"journey_id": body["id"]}
    assert agree(api, "get", ONE, **key).json() == body

    changed = agree(api, "patch", ONE, {"description": "Those who left.", "schedule": WEEKLY}, **key).json()
    assert (changed["name"], changed["description"], changed["tags"]) == ("Win back", "Those who left.", ["q1", "x"])
    assert {name: changed["schedule"][name] for name in WEEKLY} == WEEKLY
    assert (changed["schedule"]["enabled"], changed["schedule"]["launch_at"]) == (False, None)

    replaced = agree(api, "put", ONE, {"name": "Win them back"}, **key).json()
    assert (replaced["name"], replaced["description"], replaced["tags"]) == ("Win them back", "", [])
    assert (replaced["schedule"], replaced["audience"], replaced["goal"]) == (None, None, None)
    assert agree(api, "delete", ONE, **key).status_code == 204
    assert api.get(ONE.format(**key)).status_code == 404
    assert api.delete(FLOW.format(flow_id=body["flow_id"])).status_code == 204


def test_launch_pause_resume_archive(api: APIClient, agree: Callable[..., Any]) -> None:
    key = {"journey_id": agree(api, "post", ALL, {"name": "x", "graph": BY_EVENT}).json()["id"]}
    launched = agree(api, "post", LAUNCH, **key)
    assert (launched.status_code, launched.json()["status"], launched.json()["job_id"]) == (200, "active", None)

    refused = agree(api, "post", LAUNCH, **key)
    assert (refused.status_code, codes(refused)) == (409, ["invalid_transition"])
    assert refused.json()["errors"][0]["detail"] == "A journey that is active cannot become launched."
    assert agree(api, "post", PAUSE, {}, **key).json()["status"] == "paused"
    assert agree(api, "post", PAUSE, **key).status_code == 409
    answer = agree(api, "post", RESUME, {"overdue": "shift", "spread_over": "5m"}, **key)
    assert answer.json()["status"] == "active"
    assert agree(api, "post", ARCHIVE, **key).json()["status"] == "archived"
    assert Flow.objects.get().status == "archived"
    assert codes(api.patch(ONE.format(**key), {"name": "y"})) == ["journey_archived"]
    assert codes(api.delete(ONE.format(**key))) == ["journey_not_draft"]


def test_a_flow_with_journeys_is_not_deleted(api: APIClient, agree: Callable[..., Any]) -> None:
    made = api.post(ALL, {"name": "x", "graph": BY_EVENT}).json()

    answer = agree(api, "delete", FLOW, flow_id=made["flow_id"])

    assert (answer.status_code, codes(answer)) == (409, ["flow_has_journeys"])


def test_a_launch_tells_the_problems_of_the_graph_with_their_nodes(api: APIClient, agree: Callable[..., Any]) -> None:
    wrong = {"nodes": [{"id": "in", "type": "event_entry", "config": {"event_type": "x"}}], "edges": []}
    made = api.post(ALL, {"name": "x", "graph": wrong}).json()

    answer = agree(api, "post", LAUNCH, journey_id=made["id"])

    assert answer.status_code == 400
    assert [(each["code"], each["node_id"]) for each in answer.json()["errors"]] == [("missing_branch", "in")]
    assert api.get(ONE.format(journey_id=made["id"])).json()["status"] == "draft"


def test_a_launch_with_the_existing_members_is_a_job(
    api: APIClient, agree: Callable[..., Any], pros: Callable[..., Segment]
) -> None:
    pros(3)
    made = api.post(ALL, {"name": "x", "graph": BY_SEGMENT}).json()

    launched = agree(api, "post", LAUNCH, {"include_existing": True}, journey_id=made["id"])
    assert (launched.status_code, launched.json()["matched"]) == (202, 3)
    job = {"job_id": launched.json()["job_id"]}
    assert agree(api, "get", "/api/v1/jobs/{job_id}", **job).json()["status"] == "queued"
    settle()

    done = agree(api, "get", "/api/v1/jobs/{job_id}", **job).json()
    assert (done["status"], done["matched"], done["done"], done["succeeded"]) == ("completed", 3, 3, 3)
    again = api.post(LAUNCH.format(journey_id=made["id"]), {"include_existing": True})
    assert again.status_code == 409


BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"graph": BY_EVENT}, ["name"]),
    ({"name": "x"}, ["flow_id"]),
    ({"name": "x", "graph": BY_EVENT, "nme": "x"}, ["nme"]),
    ({"name": "x", "graph": []}, ["graph"]),
    ({"name": "x", "graph": BY_EVENT, "goal": []}, ["goal"]),
    ({"name": "x", "graph": BY_EVENT, "goal": "bought"}, ["goal"]),
    ({"name": "x", "graph": BY_EVENT, "goal": {}}, ["goal.name"]),
    ({"name": "x", "graph": BY_EVENT, "goal": {**GOAL, "window": "soon"}}, ["goal.window"]),
    ({"name": "x", "graph": BY_EVENT, "goal": {**GOAL, "windw": "1d"}}, ["goal.windw"]),
    ({"name": "x", "graph": BY_EVENT, "goal": {"event_type": 7}}, ["goal.name", "goal.event_type"]),
    ({"name": "x", "graph": BY_EVENT, "goal": {**GOAL, "filter": {"path": "event.x"}}}, ["goal.filter.op"]),
    ({"name": "x", "graph": BY_EVENT, "audience": "pros"}, ["audience"]),
    ({"name": "x", "graph": BY_EVENT, "audience": {}}, ["audience.segment"]),
    ({"name": "x", "graph": BY_EVENT, "audience": {"segment": "nobody"}}, ["audience.segment"]),
    ({"name": "x", "graph": BY_EVENT, "schedule": {}}, ["schedule.kind"]),
    ({"name": "x", "graph": BY_EVENT, "schedule": {"kind": "daily"}}, ["schedule.kind"]),
    ({"name": "x", "graph": BY_EVENT, "schedule": WEEKLY}, ["audience"]),
    ({"name": "x", "graph": BY_EVENT, "schedule": {"launch_at": "2030-01-01T11:59:00Z"}}, ["schedule.launch_at"]),
    ({"name": "x", "graph": BY_EVENT, "schedule": {"launch_at": "2030-01-02T12:00:00"}}, ["schedule.launch_at"]),
    ({"name": "x", "graph": BY_EVENT, "tags": ["a" * 65]}, ["tags.0"]),
    ({"name": "x", "graph": BY_EVENT, "tags": "q1"}, ["tags"]),
    ({"name": "x", "graph": BY_EVENT, "tags": [" "]}, ["tags.0"]),
]  # fmt: skip


def test_bad_input_is_named_and_nothing_is_made(api: APIClient) -> None:
    for body, attrs in BAD:
        answer = api.post(ALL, body)

        assert answer.status_code == 400, (body, answer.json())
        assert [each["attr"] for each in answer.json()["errors"]] == attrs
    assert not Journey.objects.exists()
    assert not Flow.objects.exists()


BAD_SCHEDULES: list[tuple[dict[str, Any], str]] = [
    ({"kind": "cron", "cron": "every day"}, "schedule.cron"),
    ({"kind": "cron", "cron": "0 9 * * *", "timezone": "Mars"}, "schedule.timezone"),
    ({"kind": "interval", "every": "0s"}, "schedule.every"),
    ({"kind": "once"}, "schedule.at"),
]


def test_a_mistake_in_a_schedule_is_named_by_its_place(api: APIClient, pros: Callable[..., Segment]) -> None:
    pros()
    for schedule, attr in BAD_SCHEDULES:
        answer = api.post(ALL, {"name": "x", "graph": BY_EVENT, "audience": {"segment": "pros"}, "schedule": schedule})

        assert answer.status_code == 400
        assert [each["attr"] for each in answer.json()["errors"]] == [attr]
    assert not Journey.objects.exists()


def test_lists_are_filtered_by_status_tag_and_flow(api: APIClient, agree: Callable[..., Any]) -> None:
    made = [api.post(ALL, {"name": f"j{n}", "graph": BY_EVENT, "tags": [f"t{n}", "all"]}).json() for n in range(3)]
    api.post(LAUNCH.format(journey_id=made[1]["id"]))

    def names(query: str) -> list[str]:
        return [each["name"] for each in api.get(ALL + query).json()["results"]]

    assert agree(api, "get", ALL).status_code == 200
    assert names("") == ["j2", "j1", "j0"]
    assert names("?tag=all&status=draft") == ["j2", "j0"]
    assert names("?tag=t1") == names("?status=active,paused") == ["j1"]
    assert names(f"?flow_id={made[0]['flow_id']}") == ["j0"]
    assert api.get(f"{ALL}?status=gone").status_code == 400
    assert api.get(f"{ALL}?name=x").status_code == 400
    page = api.get(f"{ALL}?page_size=2").json()
    assert [each["name"] for each in api.get(page["next"]).json()["results"]] == ["j0"]


def test_a_list_costs_the_same_for_one_and_for_many(api: APIClient, journey: Callable[..., Journey]) -> None:
    counts = []
    for n in (1, 5):
        for _ in range(n):
            journey(goal=GOAL)
        api.get(ALL)
        with CaptureQueriesContext(connection) as asked:
            api.get(ALL)
        counts.append(sum('FROM "journeys"' in each["sql"] or '"flows' in each["sql"] for each in asked))
    assert counts == [1, 1]


def test_the_goal_shown_is_the_graphs(api: APIClient, flow_of: Callable[..., Flow]) -> None:
    flow = flow_of({**BY_EVENT, "settings": {"goal": GOAL}})
    made = api.post(ALL, {"name": "x", "flow_id": str(flow.pk)}).json()
    assert made["goal"] == GOAL

    given = api.patch(ONE.format(journey_id=made["id"]), {"goal": {"name": "other"}}).json()
    assert given["goal"] == {"name": "other"}
    launched = api.post(LAUNCH.format(journey_id=made["id"])).json()
    assert launched["goal"] == {"name": "other"}
    flow.refresh_from_db()
    assert flow.active_version.graph["settings"]["goal"] == {"name": "other"}
    assert api.patch(ONE.format(journey_id=made["id"]), {"goal": None}).json()["goal"] is None


def test_another_tenant_sees_nothing_and_reaches_nothing(
    api: APIClient, client_of: Callable[..., APIClient], other_tenant: Tenant, pros: Callable[..., Segment]
) -> None:
    pros(of=other_tenant)
    theirs = client_of(other_tenant)
    mine = api.post(ALL, {"name": "x", "graph": BY_EVENT}).json()
    key = {"journey_id": mine["id"]}

    assert theirs.get(ALL).json()["results"] == []
    for answer in (
        theirs.get(ONE.format(**key)), theirs.patch(ONE.format(**key), {"name": "y"}), theirs.delete(ONE.format(**key)),
        theirs.put(ONE.format(**key), {"name": "y"}),
        *(theirs.post(verb.format(**key)) for verb in (LAUNCH, PAUSE, RESUME, ARCHIVE)),
        theirs.post(ALL, {"name": "y", "flow_id": mine["flow_id"]}), api.get(ONE.format(journey_id="nonsense")),
    ):  # fmt: skip
        assert answer.status_code == 404
    foreign = api.post(ALL, {"name": "x", "graph": BY_EVENT, "audience": {"segment": "pros"}})
    assert codes(foreign) == ["unresolved_reference"]
    schedules = f"/api/v1/flows/{mine['flow_id']}/schedules"
    body = {"kind": "interval", "every": "1h"}
    assert codes(api.post(schedules, {**body, "audience": "pros"})) == ["unresolved_reference"]
    other = theirs.post(ALL, {"name": "y", "graph": BY_EVENT}).json()
    assert codes(api.post(schedules, {**body, "audience": f"journey:{other['id']}"})) == ["unresolved_reference"]


def test_a_viewer_reads(client_of: Callable[..., APIClient], tenant: Tenant, journey: Callable[..., Journey]) -> None:
    key, viewer = {"journey_id": str(journey().pk)}, client_of(tenant, Role.VIEWER)

    assert viewer.get(ONE.format(**key)).status_code == 200
    for verb in (LAUNCH, PAUSE, RESUME, ARCHIVE):
        assert viewer.post(verb.format(**key)).status_code == 403


def test_a_draft_launches_when_its_time_has_come(api: APIClient, agree: Callable[..., Any], now: FakeClock) -> None:
    at = "2030-01-01T13:00:00Z"
    good = agree(api, "post", ALL, {"name": "x", "graph": BY_EVENT, "schedule": {"launch_at": at}}).json()
    assert good["schedule"]["launch_at"] == at
    wrong = {"nodes": [{"id": "in", "type": "event_entry", "config": {"event_type": "x"}}], "edges": []}
    bad = api.post(ALL, {"name": "y", "graph": wrong, "schedule": {"launch_at": "2030-01-01T12:30:00Z"}}).json()
    settle()
    assert api.get(ONE.format(journey_id=good["id"])).json()["status"] == "draft"

    now.advance(hours=1)
    settle()

    launched = agree(api, "get", ONE, journey_id=good["id"]).json()
    assert (launched["status"], launched["launched_at"], launched["schedule"]) == ("active", at, None)
    refused = agree(api, "get", ONE, journey_id=bad["id"]).json()
    assert (refused["status"], refused["schedule"]["launch_at"]) == ("draft", None)
    assert refused["schedule"]["launch_error"] == {
        "at": "2030-01-01T12:30:00Z", "code": "invalid_graph", "detail": "Nothing follows `in`; add an edge."
    }  # fmt: skip
    later = (NOON + timedelta(days=1)).isoformat()
    assert api.patch(ONE.format(journey_id=good["id"]), {"schedule": {"launch_at": later}}).status_code == 400


def test_every_list_walks_an_index_in_its_order(api: APIClient, journey: Callable[..., Journey]) -> None:
    journey(tags=["q1"])
    for query in ("", "?status=draft", "?tag=q1"):
        with CaptureQueriesContext(connection) as asked:
            assert len(api.get(ALL + query).json()["results"]) == 1
        for page in [each["sql"] for each in asked if 'FROM "journeys"' in each["sql"]]:
            with connection.cursor() as cursor:
                cursor.execute("SET enable_seqscan = off")
                cursor.execute("SET enable_sort = off")
                cursor.execute(f"EXPLAIN {page}")
                plan = "\n".join(row[0] for row in cursor.fetchall())
                cursor.execute("RESET enable_seqscan")
                cursor.execute("RESET enable_sort")
            assert "Scan Backward using journey_" in plan, plan
