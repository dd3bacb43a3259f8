"""Lists by cursor: every row once, whatever comes and goes meanwhile."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from tenants import keys, vault
from tenants.models import ApiKey, Secret, Tenant

pytestmark = pytest.mark.django_db


def walk(api: APIClient, url: str | None, link: str = "next") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while url:
        page = api.get(url).json()
        assert set(page) == {"next", "previous", "results"}
        rows += page["results"]
        url = page[link]
    return rows


def test_newest_first_and_each_once(api: APIClient, tenant: Tenant) -> None:
    for n in range(12):
        keys.issue(tenant, name=str(n))
    rows = walk(api, "/api/v1/keys?page_size=5")
    expected = [
        str(pk) for pk in ApiKey.objects.for_tenant(tenant).order_by("-created_at").values_list("pk", flat=True)
    ]
    assert [row["id"] for row in rows] == expected
    assert len(rows) == 13


def test_there_and_back(api: APIClient, tenant: Tenant) -> None:
    for n in range(7):
        vault.create(tenant, name=f"s{n}", value="x")
    first = api.get("/api/v1/secrets?page_size=3").json()
    second = api.get(first["next"]).json()
    third = api.get(second["next"]).json()
    assert [row["name"] for row in third["results"]] == ["s6"]
    assert third["next"] is None
    assert first["previous"] is None
    assert api.get(third["previous"]).json()["results"] == second["results"]
    back = api.get(second["previous"]).json()
    assert (back["results"], back["previous"]) == (first["results"], None)
    assert api.get(back["next"]).json()["results"] == second["results"]


def test_rows_that_come_and_go_between_pages(api: APIClient, tenant: Tenant) -> None:
    for n in range(6):
        vault.create(tenant, name=f"s{n}", value="x")
    first = api.get("/api/v1/secrets?page_size=2").json()
    Secret.objects.filter(name__in=["s1", "s2"]).delete()
    vault.create(tenant, name="s0b", value="x")
    assert [row["name"] for row in walk(api, first["next"])] == ["s3", "s4", "s5"]


def test_a_cursor_belongs_to_its_list(api: APIClient, tenant: Tenant) -> None:
    for n in range(3):
        vault.create(tenant, name=f"s{n}", value="x")
    cursor = api.get("/api/v1/secrets?page_size=1").json()["next"].partition("cursor=")[2]

    refused = api.get(f"/api/v1/keys?cursor={cursor}")

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["attr"] == "cursor"


def test_links_keep_the_parameters(api: APIClient, tenant: Tenant) -> None:
    for n in range(3):
        vault.create(tenant, name=f"s{n}", value="x")
    following = api.get("/api/v1/secrets?page_size=1").json()["next"]
    assert following.startswith("http://testserver/api/v1/secrets?page_size=1&cursor=")


def test_page_is_50_rows_and_empty_lists_have_no_neighbours(api: APIClient, tenant: Tenant) -> None:
    assert api.get("/api/v1/secrets").json() == {"next": None, "previous": None, "results": []}
    for n in range(51):
        vault.create(tenant, name=f"s{n}", value="x")
    assert len(api.get("/api/v1/secrets").json()["results"]) == 50
    assert len(api.get("/api/v1/secrets?page_size=500").json()["results"]) == 51
