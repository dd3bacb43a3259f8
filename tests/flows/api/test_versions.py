"""Versions over HTTP."""

import pytest

from flows import lifecycle, publishing, versions
from flows.graph.problems import Problem, Severity
from flows.models import Flow, FlowVersion
from tests.flows.graphs import edge, line


@pytest.fixture
def url(flow):
    return f"/api/v1/flows/{flow.pk}/versions"


def codes(response):
    return [(error["code"], error["attr"]) for error in response.json()["errors"]]


def test_a_draft_is_added(api, url, flow):
    response = api.post(url, {"graph": line("more"), "changelog": "Longer."})

    assert response.status_code == 201
    version = flow.versions.get(number=2)
    assert response.json() == {
        "number": 2,
        "status": "draft",
        "graph": line("more"),
        "changelog": "Longer.",
        "validation": {"valid": True, "errors": [], "warnings": []},
        "created_at": version.created_at.isoformat().replace("+00:00", "Z"),
        "published_at": None,
        "published_by": None,
    }


def test_an_incomplete_graph_is_kept_with_what_is_wrong_with_it(api, url):
    raw = line()
    raw["edges"].append(edge("pause", "nowhere"))

    response = api.post(url, {"graph": raw})

    assert response.status_code == 201
    validation = response.json()["validation"]
    assert not validation["valid"]
    assert [(each["code"], each["attr"], each["node_id"]) for each in validation["errors"]] == [
        ("unknown_target", "graph.edges.2.target", "pause")
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("required", "graph")),
        ({"graph": None}, ("null", "graph")),
        ({"graph": 7}, ("not_a_graph", "graph")),
        ({"graph": {"edges": []}}, ("not_a_graph", "graph.nodes")),
        ({"graph": {"nodes": ["a"]}}, ("not_a_graph", "graph.nodes.0")),
        ({"graph": line(), "changelog": 7}, ("invalid", "changelog")),
        ({"graph": line(), "status": "published"}, ("unknown_field", "status")),
        ({"graph": line() | {"description": "x" * 600_000}}, ("too_large", "graph")),
    ],
)
def test_what_is_no_graph_is_refused(api, url, body, expected):
    response = api.post(url, body)

    assert response.status_code == 400
    assert expected in codes(response)
    assert FlowVersion.objects.count() == 1


def test_versions_are_listed_newest_first(api, url, flow, django_assert_num_queries):
    for _ in range(3):
        versions.create_draft(flow, line())
    api.get(url)

    with django_assert_num_queries(2):
        page = api.get(url, {"page_size": 3}).json()

    assert [version["number"] for version in page["results"]] == [4, 3, 2]
    assert [version["number"] for version in api.get(page["next"]).json()["results"]] == [1]
    assert api.get(url, {"status": "draft"}).status_code == 400


@pytest.mark.parametrize("number", ["2", "0", "99999999999999999999", "x", "-1", "1.5"])
def test_an_unknown_number_is_not_there(api, url, number):
    assert api.get(f"{url}/{number}").status_code == 404
    assert api.post(f"{url}/{number}/publish").status_code == 404
    assert api.get(f"{url}/1/diff/{number}").status_code == 404


def test_a_draft_is_changed_and_a_published_version_is_not(api, url, flow):
    assert api.patch(f"{url}/1", {"graph": line("more")}).json()["graph"] == line("more")
    assert api.patch(f"{url}/1", {"changelog": "Why."}).json()["changelog"] == "Why."
    publishing.publish(flow.versions.get())

    refused = api.patch(f"{url}/1", {"changelog": "Why not."})

    assert (refused.status_code, codes(refused)) == (409, [("version_published", None)])


@pytest.mark.parametrize("body", [{"graph": None}, {"graph": []}, {"changelog": 7}, {"number": 3}])
def test_a_change_of_wrong_types_is_refused(api, url, body):
    assert api.patch(f"{url}/1", body).status_code == 400
    assert FlowVersion.objects.get().graph == line()


def test_validating_says_what_is_wrong_and_changes_nothing(api, url, flow):
    publishing.register_check(lambda graph, tenant: [Problem("no_goal", "No goal.", severity=Severity.WARNING)])

    response = api.post(f"{url}/1/validate")

    assert response.status_code == 200
    assert response.json() == {
        "valid": True,
        "errors": [],
        "warnings": [{"code": "no_goal", "detail": "No goal.", "attr": "graph", "node_id": None}],
    }
    assert FlowVersion.objects.get().status == "draft"


def test_a_version_is_published(api, url, flow):
    response = api.post(f"{url}/1/publish", {"reason": "Ready."})

    assert response.status_code == 200
    assert response.json()["status"] == "published"
    assert response.json()["published_by"].startswith("key:")
    assert Flow.objects.get().active_version.number == 1
    again = api.post(f"{url}/1/publish")
    assert (again.status_code, codes(again)) == (409, [("version_published", None)])


def test_an_invalid_version_is_not_published(api, url):
    api.patch(f"{url}/1", {"graph": {"nodes": [], "edges": []}})

    response = api.post(f"{url}/1/publish")

    assert (response.status_code, codes(response)) == (400, [("no_entry", "graph.nodes")])
    assert response.json()["errors"][0]["node_id"] is None
    assert Flow.objects.get().active_version is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"strategy": "at_random"}, ("invalid_strategy", "strategy")),
        ({"strategy": 7}, ("invalid", "strategy")),
        ({"rollout_percent": "10"}, ("invalid", "rollout_percent")),
        ({"rollout_percent": 101}, ("max_value", "rollout_percent")),
        ({"rollout_percent": True}, ("invalid", "rollout_percent")),
        ({"node_mapping": []}, ("not_a_dict", "node_mapping")),
        ({"node_mapping": {"a": 7}}, ("invalid", "node_mapping.a")),
        ({"removed_node_policy": "lose"}, ("invalid_choice", "removed_node_policy")),
        ({"why": "x"}, ("unknown_field", "why")),
    ],
)
def test_a_publication_of_wrong_types_is_refused(api, url, body, expected):
    response = api.post(f"{url}/1/publish", body)

    assert (response.status_code, codes(response)) == (400, [expected])
    assert FlowVersion.objects.get().status == "draft"


def test_the_difference_of_two_versions_is_shown(api, url, flow):
    versions.create_draft(flow, line("pause", "more", reentry="once"))

    assert api.get(f"{url}/1/diff/2").json() == {
        "nodes": {"added": ["more"], "removed": [], "changed": []},
        "edges": {"added": [edge("pause", "more"), edge("more", "end")], "removed": [edge("pause", "end")]},
        "settings": [{"path": "reentry", "before": None, "after": "once"}],
    }
    assert api.get(f"{url}/2/diff/1").json()["nodes"]["removed"] == ["more"]


def test_a_version_of_another_flow_is_not_there(api, url, tenant):
    other = lifecycle.create(tenant, "Other")

    assert api.get(f"/api/v1/flows/{other.pk}/versions/1").status_code == 404
    assert api.get(f"{url}/1").status_code == 200
