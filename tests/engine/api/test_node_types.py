"""The catalogue of node types over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.test import APIClient

from engine.nodes import registry
from engine.nodes.base import Category, Node, RunsAs
from engine.nodes.outcomes import Completed
from tenants.models import Role, Tenant

NODE_TYPES = "/api/v1/node_types"


def test_every_type_is_listed(agree: Callable[..., Any], api: APIClient) -> None:
    listed = agree(api, "get", NODE_TYPES).json()

    assert [each["type"] for each in listed["results"]] == [node.type for node in registry.all()]
    assert (listed["next"], listed["previous"]) == (None, None)
    wait = next(each for each in listed["results"] if each["type"] == "wait_for_event")
    assert (wait["category"], wait["runs_as"], wait["branches"]) == ("wait", "inline", ["event_received", "timed_out"])
    assert wait["config_schema"]["properties"]["event_type"]


def test_a_type_of_a_plugin_is_listed_too(agree: Callable[..., Any], api: APIClient) -> None:
    @registry.node
    class Shout(Node):
        """Say it louder."""

        type = "shout"
        category = Category.ACTION
        runs_as = RunsAs.INLINE

        def execute(self, config: Any, step: Any) -> Any:
            return Completed()

    assert "shout" in [each["type"] for each in agree(api, "get", NODE_TYPES).json()["results"]]


def test_the_list_can_be_read_in_pages(api: APIClient) -> None:
    page = api.get(NODE_TYPES, {"page_size": 7}).json()
    seen = page["results"]
    while page["next"]:
        page = api.get(page["next"]).json()
        seen += page["results"]

    assert [each["type"] for each in seen] == [node.type for node in registry.all()]
    assert api.get(page["previous"]).json()["next"]
    for odd in ({"cursor": "x"}, {"cursor": "9" * 99}, {"page_size": 0}, {"pages": 1}):
        assert api.get(NODE_TYPES, odd).status_code == 400


def test_viewers_may_read_it(tenant: Tenant, client_of: Callable[..., APIClient]) -> None:
    assert client_of(tenant, Role.VIEWER).get(NODE_TYPES).status_code == 200
    assert APIClient().get(NODE_TYPES).status_code == 401
